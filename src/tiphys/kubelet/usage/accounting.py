"""Forms that the kernel's accounting files have."""

from typing import Final

UNLIMITED_BYTES: Final = 1 << 62  # v1 shows "no limit" as a number near 2**63.


def number(text: str) -> int:
    """A file of one number; 0 for `max` and for no file."""
    text = text.strip()
    return int(text) if text.lstrip("-").isdigit() else 0


def limit(text: str) -> int:
    """A limit; 0 where there is none."""
    found = number(text)
    return found if 0 < found < UNLIMITED_BYTES else 0


def pairs(text: str) -> dict[str, int]:
    """`key number` lines, as in memory.stat."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
