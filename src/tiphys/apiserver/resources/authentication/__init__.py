"""Kinds of authentication: one file each."""
