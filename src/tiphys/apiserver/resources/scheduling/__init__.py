"""Kinds of scheduling: one file each."""
