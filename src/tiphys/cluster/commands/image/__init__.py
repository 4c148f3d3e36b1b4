"""`tiphys image`: one file per command."""
