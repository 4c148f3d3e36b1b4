"""Decides writes against what is written and what is still being written, and numbers them.

Pure: the sets of keys and numbers that a backend with one writer keeps in memory. A revision is
given out before its commit; `committed` moves only after it. `heads` is therefore ahead of what
readers see, and two writers of one key are told apart without waiting for the disk.
"""

import heapq
from typing import NamedTuple

from tiphys.storage.backend import FIRST_REVISION, KeyExists, RevisionMismatch


class Write(NamedTuple):
    key: str
    value: bytes | None  # None deletes
    revision: int
    expires_at: int  # Unix seconds; 0 = never


class Heads:
    """The newest revision of every live key, pending writes included."""

    def __init__(self) -> None:
        self.committed = FIRST_REVISION
        self.assigned = FIRST_REVISION
        self._by_key: dict[str, int] = {}
        self._expiries: list[tuple[int, str, int]] = []

    def load(self, key: str, revision: int, expires_at: int) -> None:
        self._by_key[key] = revision
        if expires_at:
            heapq.heappush(self._expiries, (expires_at, key, revision))

    def decide_create(self, key: str, value: bytes, expires_at: int) -> Write:
        """Raises KeyExists."""
        if key in self._by_key:
            raise KeyExists(key)
        return self._assign(key, value, expires_at)

    def decide_update(self, key: str, value: bytes, expected: int, expires_at: int) -> Write:
        """Raises RevisionMismatch."""
        self._compare(key, expected)
        return self._assign(key, value, expires_at)

    def decide_delete(self, key: str, expected: int) -> Write:
        """Raises RevisionMismatch."""
        self._compare(key, expected)
        return self._assign(key, None, 0)

    def _compare(self, key: str, expected: int) -> None:
        actual = self._by_key.get(key, 0)
        if actual != expected or not actual:
            raise RevisionMismatch(key, actual)

    def _assign(self, key: str, value: bytes | None, expires_at: int) -> Write:
        self.assigned += 1
        if value is None:
            self._by_key.pop(key, None)
        else:
            self.load(key, self.assigned, expires_at)
        return Write(key, value, self.assigned, expires_at)

    def expired(self, now: int, limit: int) -> list[tuple[str, int]]:
        """Up to limit keys whose time is over, each with its revision; hands each out once."""
        found: list[tuple[str, int]] = []
        while self._expiries and self._expiries[0][0] <= now and len(found) < limit:
            _, key, revision = heapq.heappop(self._expiries)
            if self._by_key.get(key) == revision:
                found.append((key, revision))
        return found

    def roll_back(self, committed: dict[str, int]) -> None:
        """Forget pending writes; `committed` has the keys they touched, as on the disk."""
        self.assigned = self.committed
        for key, revision in committed.items():
            if revision:
                self._by_key[key] = revision
            else:
                self._by_key.pop(key, None)

    def __len__(self) -> int:
        return len(self._by_key)
