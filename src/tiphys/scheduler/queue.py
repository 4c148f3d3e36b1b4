"""Pods that wait: ready to be tried, backing off, or waiting for the cluster to change.

Higher priority first, then who waits longest. A pod that did not fit waits for an event that one of
the plugins which rejected it names, then for the rest of its back-off.
Upstream: pkg/scheduler/backend/queue/scheduling_queue.go.
"""

import asyncio
import heapq
from dataclasses import dataclass, field
from typing import Final

from tiphys.api.meta import Obj, ObjectKey, at, key_of, uid_of
from tiphys.lib.clock import Clock

UNSCHEDULABLE_SECONDS_MAX: Final = 300.0  # podMaxInUnschedulablePodsDuration


@dataclass(slots=True)
class Waiting:
    """A pod in the queue and what happened to it so far."""

    pod: Obj
    since: float
    attempts: int = 0
    retry_on: frozenset[str] = frozenset()
    not_before: float = 0.0
    rejected_at: float = 0.0
    moves_seen: int = 0  # Events before the attempt began: a later one means try again.
    gated: bool = field(default=False)

    @property
    def key(self) -> ObjectKey:
        return key_of(self.pod)

    def order(self) -> tuple[int, float]:
        return -int(at(self.pod, "spec", "priority", default=0)), self.since


class SchedulingQueue:
    def __init__(self, clock: Clock, *, initial_seconds: float, max_seconds: float) -> None:
        self._clock = clock
        self._initial_seconds = initial_seconds
        self._max_seconds = max_seconds
        self._known: dict[ObjectKey, Waiting] = {}
        self._active: list[tuple[tuple[int, float], int, ObjectKey]] = []
        self._backing_off: list[tuple[float, int, ObjectKey]] = []
        self._rejected: set[ObjectKey] = set()
        self._in_flight: set[ObjectKey] = set()
        self._counter = 0
        self._moves: list[str] = []
        self._changed = asyncio.Event()

    def add(self, pod: Obj, *, gated: bool = False) -> None:
        """A new pod, or a known one as it is now."""
        key = key_of(pod)
        known = self._known.get(key)
        if known is not None and uid_of(known.pod) == uid_of(pod):
            changed = known.pod.get("spec") != pod.get("spec") or known.gated != gated
            known.pod, known.gated = pod, gated
            if not changed or key in self._in_flight:
                return
            self._rejected.discard(key)
        else:
            known = Waiting(pod, self._clock.monotonic(), gated=gated)
            self._known[key] = known
        if not gated:
            self._activate(known)

    def remove(self, key: ObjectKey) -> None:
        self._known.pop(key, None)
        self._rejected.discard(key)

    async def get(self) -> Waiting:
        """The next pod to try; `done` or `reject` must follow."""
        while True:
            self._release_due()
            while self._active:
                _, _, key = heapq.heappop(self._active)
                waiting = self._known.get(key)
                if waiting is None or key in self._in_flight or key in self._rejected:
                    continue
                self._in_flight.add(key)
                waiting.attempts += 1
                waiting.moves_seen = len(self._moves)
                return waiting
            self._changed.clear()
            try:
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, waiting: Waiting) -> None:
        """Bound, or gone."""
        self._in_flight.discard(waiting.key)
        if self._known.get(waiting.key) is waiting:
            self._known.pop(waiting.key, None)

    def reject(self, waiting: Waiting, retry_on: frozenset[str]) -> None:
        """Did not fit; retry_on is empty after an error, which is tried again after back-off."""
        key = waiting.key
        self._in_flight.discard(key)
        if self._known.get(key) is not waiting:
            return
        now = self._clock.monotonic()
        delay = min(self._initial_seconds * 2.0 ** (waiting.attempts - 1), self._max_seconds)
        waiting.not_before, waiting.rejected_at, waiting.retry_on = now + delay, now, retry_on
        missed = retry_on & set(self._moves[waiting.moves_seen :])
        if not retry_on or missed:
            self._back_off(waiting)
        else:
            self._rejected.add(key)
        if not self._in_flight:
            self._moves.clear()

    def move(self, event: str) -> None:
        """The cluster changed: pods that wait for such an event are tried again."""
        if self._in_flight:
            self._moves.append(event)
        for key in [k for k in self._rejected if event in self._known[k].retry_on]:
            self._rejected.discard(key)
            self._back_off(self._known[key])

    def flush(self) -> None:
        """Pods that nothing woke for long are tried all the same; call now and then."""
        now = self._clock.monotonic()
        for key in list(self._rejected):
            if now - self._known[key].rejected_at >= UNSCHEDULABLE_SECONDS_MAX:
                self._rejected.discard(key)
                self._back_off(self._known[key])

    def __len__(self) -> int:
        return len(self._known)

    def counts(self) -> dict[str, int]:
        """Pods by the queue that upstream would have them in."""
        gated = sum(waiting.gated for waiting in self._known.values())
        backing_off = len({key for _, _, key in self._backing_off if key in self._known})
        waiting = len(self._rejected)
        active = len(self._known) - gated - backing_off - waiting
        return {
            "active": max(0, active),
            "backoff": backing_off,
            "unschedulable": waiting,
            "gated": gated,
        }

    def _back_off(self, waiting: Waiting) -> None:
        if waiting.not_before <= self._clock.monotonic():
            self._activate(waiting)
            return
        self._counter += 1
        entry = (waiting.not_before, self._counter, waiting.key)
        heapq.heappush(self._backing_off, entry)
        self._changed.set()

    def _activate(self, waiting: Waiting) -> None:
        self._counter += 1
        heapq.heappush(self._active, (waiting.order(), self._counter, waiting.key))
        self._changed.set()

    def _release_due(self) -> None:
        now = self._clock.monotonic()
        while self._backing_off and self._backing_off[0][0] <= now:
            _, _, key = heapq.heappop(self._backing_off)
            if (waiting := self._known.get(key)) is not None:
                self._activate(waiting)

    def _seconds_to_next(self) -> float | None:
        if not self._backing_off:
            return None
        return max(self._backing_off[0][0] - self._clock.monotonic(), 0.001)
