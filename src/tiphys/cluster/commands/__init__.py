"""The commands that need more than the API: one per file, `run(profile, arguments) -> int`."""
