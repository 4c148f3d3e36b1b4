"""Kinds of admissionregistration: one file each."""
