"""Kinds of apiregistration: one file each."""
