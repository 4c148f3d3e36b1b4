"""Kinds of events: one file each."""
