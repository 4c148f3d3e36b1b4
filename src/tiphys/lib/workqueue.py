"""A queue of keys with the contract that controllers rely on.

Fair: keys are handed out in the order they came. Stingy: a key added many times before it is
handed out is handed out once. A key added while it is being worked on is handed out again after,
never to two workers at once. Delayed and rate-limited adding. Upstream: client-go util/workqueue.
"""

import asyncio
import time
from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from tiphys.lib.backoff import Backoff
from tiphys.lib.metrics import Buckets

Key = TypeVar("Key", bound=Hashable)

# Upper bounds of the buckets. Source: component-base/metrics/prometheus/workqueue.
QUEUE_SECONDS: Final = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
RETRY_INITIAL_SECONDS: Final = 0.005  # client-go DefaultControllerRateLimiter base delay.
RETRY_MAX_SECONDS: Final = 1000.0  # client-go DefaultControllerRateLimiter max delay.


class WorkQueue(Generic[Key]):
    """See the module for the contract. One event loop only."""

    def __init__(self, backoff: Backoff | None = None) -> None:
        self._order: deque[Key] = deque()
        self._dirty: set[Key] = set()
        self._working: set[Key] = set()
        self._delayed: dict[Key, asyncio.TimerHandle] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._since: dict[Key, float] = {}  # When a key was added or handed out.
        self.adds = 0
        self.retries = 0
        self.waits = Buckets(QUEUE_SECONDS)  # From adding to handing out.
        self.works = Buckets(QUEUE_SECONDS)  # From handing out to done.
        self._backoff = backoff or Backoff(
            initial_seconds=RETRY_INITIAL_SECONDS, max_seconds=RETRY_MAX_SECONDS
        )

    def add(self, key: Key) -> None:
        if key in self._dirty:
            return
        self._dirty.add(key)
        self.adds += 1
        if key not in self._working:
            self._enqueue(key)

    def _enqueue(self, key: Key) -> None:
        self._order.append(key)
        self._since[key] = time.monotonic()
        self._wake()

    def add_after(self, key: Key, seconds: float) -> None:
        """Add later; of two delays for one key the earlier counts."""
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        pending = self._delayed.get(key)
        if pending is not None:
            if pending.when() <= loop.time() + seconds:
                return
            pending.cancel()
        self._delayed[key] = loop.call_later(seconds, self._due, key)

    def add_failed(self, key: Key) -> None:
        """Add after the key's back-off, which doubles until `forget`."""
        self.retries += 1
        self.add_after(key, self._backoff.next_seconds(key))

    def forget(self, key: Key) -> None:
        self._backoff.forget(key)

    def failures(self, key: Key) -> int:
        return self._backoff.failures(key)

    async def get(self) -> Key:
        """The next key; the caller must call `done` for it."""
        while not self._order:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        key = self._order.popleft()
        self._dirty.discard(key)
        self._working.add(key)
        now = time.monotonic()
        self.waits.observe(now - self._since.get(key, now))
        self._since[key] = now
        return key

    def done(self, key: Key) -> None:
        self._working.discard(key)
        now = time.monotonic()
        self.works.observe(now - self._since.pop(key, now))
        if key in self._dirty:
            self._enqueue(key)

    def close(self) -> None:
        for handle in self._delayed.values():
            handle.cancel()
        self._delayed.clear()

    def __len__(self) -> int:
        return len(self._order)

    def _due(self, key: Key) -> None:
        self._delayed.pop(key, None)
        self.add(key)

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
