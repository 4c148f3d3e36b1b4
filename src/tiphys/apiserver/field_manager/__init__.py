"""Who set which field of an object: `metadata.managedFields`, kept by every write."""
