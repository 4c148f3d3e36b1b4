"""`tiphys node`: the machines of a cluster, one file per command."""
