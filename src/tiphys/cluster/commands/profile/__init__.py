"""`tiphys profile`: which clusters there are and which one is meant, one file per command."""
