"""Kinds of apiextensions: one file each."""
