"""CRI v1: the messages and the gRPC client and server glue that kubelet and runtime share."""
