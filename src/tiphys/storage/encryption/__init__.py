"""Encryption at rest: values of chosen resources are sealed on their way into the store."""
