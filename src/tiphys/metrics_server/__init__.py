"""metrics.k8s.io: what nodes and pods use now, and what they used in the last day."""
