"""A configuration of Prometheus and alert rules for a profile, as files to fill in."""
