"""Kinds of rbac: one file each."""
