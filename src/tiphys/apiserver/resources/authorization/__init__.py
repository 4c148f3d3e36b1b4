"""Kinds of authorization: one file each."""
