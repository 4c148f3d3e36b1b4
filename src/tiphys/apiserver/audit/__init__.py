"""What the API server notes of requests: the policy, the events, the files."""
