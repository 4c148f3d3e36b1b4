"""`tiphys store`: copies of all objects, one file per command."""
