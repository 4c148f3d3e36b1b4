"""Which fields an object has, and who set them: sets of fields, and what is done with them."""
