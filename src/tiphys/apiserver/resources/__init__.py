"""One kind per file: defaults, validation, printer columns."""
