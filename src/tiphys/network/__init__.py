"""The way between nodes: routes, and an overlay where nodes share no link."""
