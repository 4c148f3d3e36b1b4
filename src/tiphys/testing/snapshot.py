"""A prepared state: what a new cluster has written by the time it rests, made once per process.

A cluster that begins with it finds its system objects, accounts and nodes there, and has nothing
to do. Stores are copied, never shared: clusters know nothing of each other.
"""

import threading
from datetime import datetime

from tiphys.lib.clock import Clock
from tiphys.storage.memory import MemoryBackend

Shape = tuple[int, int, datetime | None]
"""What a prepared state depends on: how many nodes, the seed, the time it was told."""


class Snapshots:
    """Prepared states by shape; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Shape, MemoryBackend] = {}

    def take(self, shape: Shape, clock: Clock) -> MemoryBackend | None:
        """A store of one's own in the prepared state; None before there is one."""
        with self._lock:
            kept = self._kept.get(shape)
            return None if kept is None else kept.copy(clock)

    def keep(self, shape: Shape, store: MemoryBackend, clock: Clock) -> None:
        """Remember this store's objects as they are now."""
        with self._lock:
            self._kept[shape] = store.copy(clock)


SNAPSHOTS = Snapshots()
