"""Images: store, distribution, the embedded registry and the bundled images."""
