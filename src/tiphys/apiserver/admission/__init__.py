"""One admission plugin per file."""
