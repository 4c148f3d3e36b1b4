"""What `tiphys net` knows: facts of the network, and judgments of them."""
