"""`tiphys container`: what a container is to the machine, one file per command."""
