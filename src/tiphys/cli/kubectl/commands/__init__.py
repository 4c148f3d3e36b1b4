"""One command per file: `run(kube, arguments) -> int`."""
