"""`tiphys namespace`: places for teams, one file per command."""
