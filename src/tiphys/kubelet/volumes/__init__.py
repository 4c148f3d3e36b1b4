"""Volumes of pods, one kind per file."""
