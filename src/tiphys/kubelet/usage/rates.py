"""How much a counter grows in a second, between two looks at it."""

from typing import Final

SECONDS_MIN: Final = 1.0  # A rate over a shorter time says little; the last one is told again.
KEYS_MAX: Final = 10_000


class Rates:
    """One counter for each key."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, int, int | None]] = {}  # When, counter, rate then.

    def per_second(self, key: str, at: float, counter: int) -> int | None:
        """at: monotonic seconds. None at first, and when the counter began anew."""
        seen = self._seen.get(key)
        if seen is not None and at - seen[0] < SECONDS_MIN:
            return seen[2]
        rate = None
        if seen is not None and counter >= seen[1]:
            rate = int((counter - seen[1]) / (at - seen[0]))
        if len(self._seen) >= KEYS_MAX:
            self._seen.clear()
        self._seen[key] = (at, counter, rate)
        return rate
