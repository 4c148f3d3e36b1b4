"""The addon `ingress`: its process, its rights, switching it on and off."""
