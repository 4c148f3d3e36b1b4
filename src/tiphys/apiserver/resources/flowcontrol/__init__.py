"""Kinds of flowcontrol: one file each."""
