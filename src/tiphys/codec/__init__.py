"""Bytes to objects and back: JSON, YAML, protobuf, Table, patches. Pure; no I/O."""
