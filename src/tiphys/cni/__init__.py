"""The built-in pod network: one routed veth per pod."""
