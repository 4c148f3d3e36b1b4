"""Limits and accounting of containers, for cgroup v1 and v2."""
