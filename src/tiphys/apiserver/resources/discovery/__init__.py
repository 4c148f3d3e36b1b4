"""Kinds of discovery: one file each."""
