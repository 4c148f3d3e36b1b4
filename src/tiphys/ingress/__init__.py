"""The Ingress controller: a pure plan of what goes where, and data planes that obey it."""
