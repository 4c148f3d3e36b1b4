"""A small kubectl of our own: the everyday commands, in kubectl's words."""
