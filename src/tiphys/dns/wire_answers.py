"""Answers as bytes by the bytes of their query, the id apart: most are asked again and again.

An answer with several addresses is kept in some of its rotations, given out by turns. All are
forgotten when the zone changes.
"""

from collections.abc import Callable
from typing import Final

BYTES_MAX: Final = 4 << 20  # Of queries and answers together: some 10,000 names.
_ENTRY_BYTES: Final = 200  # What Python takes for each beside its bytes, about.
ROTATIONS_MAX: Final = 8
QUERY_BYTES_MAX: Final = 300  # A name, a type and EDNS0; longer ones are rare and cost memory.


class WireAnswers:
    """version() is another number after every change of what is answered."""

    def __init__(self, version: Callable[[], int]) -> None:
        self._version = version
        self._of = -1
        self._kept: dict[bytes, tuple[list[bytes], int]] = {}  # Rotations; how many are wanted.
        self._bytes = 0
        self._turn = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, query: bytes) -> bytes | None:
        """An answer; None where a further one is wanted."""
        if self._version() != self._of:
            return None
        found = self._kept.get(query[2:])
        if found is None:
            return None
        rotations, wanted = found
        if len(rotations) < wanted:
            return None
        if wanted == 1:
            return query[:2] + rotations[0]
        self._turn += 1
        return query[:2] + rotations[self._turn % wanted]

    def put(self, query: bytes, answer: bytes) -> None:
        if self._version() != self._of or self._bytes >= BYTES_MAX:
            self._kept.clear()
            self._bytes = 0
            self._of = self._version()
        if len(query) > QUERY_BYTES_MAX:
            return
        wanted = min(max(int.from_bytes(answer[6:8], "big"), 1), ROTATIONS_MAX)
        rotations, _ = self._kept.setdefault(query[2:], ([], wanted))
        if len(rotations) < wanted:
            rotations.append(answer[2:])
            self._bytes += len(query) + len(answer) + _ENTRY_BYTES
