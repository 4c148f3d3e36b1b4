"""What another proxy mode or overlay would change."""
