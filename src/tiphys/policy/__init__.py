"""NetworkPolicies of this node's pods, kept by the kernel."""
