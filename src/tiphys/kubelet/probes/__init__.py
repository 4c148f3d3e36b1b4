"""Probes of containers, one kind per file."""
