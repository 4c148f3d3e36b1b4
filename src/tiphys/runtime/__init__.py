"""The container runtime behind CRI."""
