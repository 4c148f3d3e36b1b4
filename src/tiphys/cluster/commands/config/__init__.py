"""`tiphys config`: what starts begin with, one file per command."""
