"""One plugin per file."""
