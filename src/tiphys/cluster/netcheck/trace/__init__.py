"""The way of a packet, hop by hop."""
