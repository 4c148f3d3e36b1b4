"""Where lines of the cluster's log go beside its store: one protocol per file."""
