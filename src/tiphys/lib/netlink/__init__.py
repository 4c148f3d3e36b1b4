"""Netlink: messages as pure bytes, and one small socket."""
