"""What a request passes before its verb."""
