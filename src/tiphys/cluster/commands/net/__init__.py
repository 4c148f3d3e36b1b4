"""`tiphys net COMMAND`."""
