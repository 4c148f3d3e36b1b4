"""How many frames that carry no request a client may send: a bucket that fills with time.

Each such frame costs the server work and the client nothing. Upstream: x/net/http2 answers floods
with ENHANCE_YOUR_CALM; CVE-2023-44487 (rapid reset), CVE-2019-9512 and 9514 to 9518 (pings, resets,
settings, priorities, empty data).
"""

from typing import Final

FRAMES_MAX: Final = 1000  # At once: four times the streams of a connection.
FRAMES_PER_SECOND: Final = 100.0  # For ever; a client that cancels watches sends far fewer.


class FrameBudget:
    """Times are seconds of any clock that only grows."""

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        self._left = float(FRAMES_MAX)
        self._at = now

    def spend(self, now: float) -> bool:
        """Whether one more frame is within the budget."""
        filled = self._left + (now - self._at) * FRAMES_PER_SECOND
        self._left = min(filled, float(FRAMES_MAX)) - 1
        self._at = now
        return self._left >= 0
