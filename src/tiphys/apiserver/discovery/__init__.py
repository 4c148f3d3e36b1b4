"""Discovery documents."""
