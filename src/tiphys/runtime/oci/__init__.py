"""From an OCI runtime spec to a running process: mounts, users, capabilities, seccomp."""
