"""A queue of keys with the contract that controllers rely on.

Fair: keys are handed out in the order they came. Stingy: a key added many times before it is
handed out is handed out once. A key added while it is being worked on is handed out again after,
never to two workers at once. Delayed and rate-limited adding. Upstream: client-go util/workqueue.
"""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from tiphys.lib.backoff import Backoff

Key = TypeVar("Key", bound=Hashable)

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
        self._backoff = backoff or Backoff(
            initial_seconds=RETRY_INITIAL_SECONDS, max_seconds=RETRY_MAX_SECONDS
        )

    def add(self, key: Key) -> None:
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._working:
            self._order.append(key)
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
        return key

    def done(self, key: Key) -> None:
        self._working.discard(key)
        if key in self._dirty:
            self._order.append(key)
            self._wake()

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
