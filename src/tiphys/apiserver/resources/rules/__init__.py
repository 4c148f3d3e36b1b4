"""Rules of validation that several kinds share. Pure: objects in, field errors out."""
