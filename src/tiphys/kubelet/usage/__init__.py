"""What containers, pods and the node use: read from cgroups and /proc, parsed purely."""
