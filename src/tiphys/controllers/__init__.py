"""One controller per file; run.py lists them."""
