"""`tiphys token`: what machines join with, one file per command."""
