"""The data plane of machines with nginx: its configuration as text, and its processes."""
