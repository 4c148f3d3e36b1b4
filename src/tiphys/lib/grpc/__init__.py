"""gRPC messages as dicts after a table of names and numbers: no generated code."""
