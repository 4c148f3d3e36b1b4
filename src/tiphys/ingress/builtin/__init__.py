"""The data plane that is always there: a reverse proxy in this process."""
