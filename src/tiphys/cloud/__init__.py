"""The cloud controllers and their providers."""
