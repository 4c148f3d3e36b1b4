"""The shared store: etcd, for clusters with several API servers."""
