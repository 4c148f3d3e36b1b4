"""Kinds of coordination: one file each."""
