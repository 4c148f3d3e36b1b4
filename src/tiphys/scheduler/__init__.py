"""Queue, cache, cycle and framework; one plugin per file."""
