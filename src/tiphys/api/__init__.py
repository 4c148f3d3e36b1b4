"""The object model: meta, errors, schema table, quantities, selectors. Pure; no I/O."""
