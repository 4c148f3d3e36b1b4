"""Supervisor, bootstrap, PKI: the only package that may import every component."""
