"""The web dashboard: its image and objects, and the local proxy by which a browser reaches it."""
