"""Exponential back-off per key."""

from collections.abc import Hashable


class Backoff:
    """Doubles the pause of a key at each failure up to a bound; `forget` starts again."""

    def __init__(self, *, initial_seconds: float, max_seconds: float) -> None:
        self.initial_seconds = initial_seconds
        self.max_seconds = max_seconds
        self._failures: dict[Hashable, int] = {}

    def next_seconds(self, key: Hashable) -> float:
        """The pause before the next try; counts a failure."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        # 2**64 overflows no float and is past every bound used here.
        return min(self.initial_seconds * 2.0 ** min(count, 64), self.max_seconds)

    def failures(self, key: Hashable) -> int:
        return self._failures.get(key, 0)

    def forget(self, key: Hashable) -> None:
        self._failures.pop(key, None)
