"""The process beside each pod that parents its containers."""
