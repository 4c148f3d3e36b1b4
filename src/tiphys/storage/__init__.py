"""The store: the Backend protocol with etcd's semantics, its implementations, the watch cache."""
