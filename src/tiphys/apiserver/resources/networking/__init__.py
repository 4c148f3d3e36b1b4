"""Kinds of networking: one file each."""
