"""What CustomResourceDefinitions define. Loaded when the first one is there."""
