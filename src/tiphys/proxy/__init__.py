"""The service proxy."""
