"""Plain tools: clock, tasks, queues, logs, HTTP, netlink. No Kubernetes words in here."""
