"""One check per file: `look(scene)` gathers facts, what judges them is pure."""
