"""One provider per file."""
