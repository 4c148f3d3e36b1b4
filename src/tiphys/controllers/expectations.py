"""What a controller has written and the cache does not show yet.

Without it, a sync on a cache that lags would create the same pods twice. A key is free again when
every expected creation and deletion was seen, or after five minutes.
Upstream: pkg/controller/controller_utils.go (UIDTracking)ControllerExpectations.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tiphys.api.meta import ObjectKey
from tiphys.lib.clock import Clock

TIMEOUT_SECONDS: Final = 300.0  # ExpectationsTimeout


@dataclass(slots=True)
class _Expected:
    since: float
    creations: int = 0
    deletions: set[str] = field(default_factory=set)


class Expectations:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expected: dict[ObjectKey, _Expected] = {}

    def met(self, key: ObjectKey) -> bool:
        expected = self._expected.get(key)
        if expected is None:
            return True
        done = expected.creations <= 0 and not expected.deletions
        return done or self._clock.monotonic() - expected.since > TIMEOUT_SECONDS

    def expect(self, key: ObjectKey, *, creations: int = 0, deletions: Iterable[str] = ()) -> None:
        """What this sync is about to write; deletions are uids."""
        self._expected[key] = _Expected(self._clock.monotonic(), creations, set(deletions))

    def saw_creation(self, key: ObjectKey, count: int = 1) -> None:
        """Also called for creations that failed: they will not be seen."""
        if (expected := self._expected.get(key)) is not None:
            expected.creations -= count

    def saw_deletion(self, key: ObjectKey, uid: str) -> None:
        if (expected := self._expected.get(key)) is not None:
            expected.deletions.discard(uid)

    def forget(self, key: ObjectKey) -> None:
        self._expected.pop(key, None)
