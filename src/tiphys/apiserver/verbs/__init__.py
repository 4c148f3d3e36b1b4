"""One verb per file; `routes` says which serves what."""
