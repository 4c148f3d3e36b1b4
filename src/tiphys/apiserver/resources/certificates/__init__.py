"""Kinds of certificates: one file each."""
