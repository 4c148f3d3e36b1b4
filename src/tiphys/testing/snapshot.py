"""A prepared state: what a new cluster has written by the time it rests, made once per process.

With the store goes what the API server has made of the roles in it, which takes it longest.
A cluster that begins with it finds its system objects, accounts and nodes there, and has nothing
to do. Stores are copied, never shared: clusters know nothing of each other.
"""

import functools
import threading
from datetime import datetime
from typing import NamedTuple

from tiphys.apiserver.filters.authorization import Learnt
from tiphys.apiserver.filters.rbac_bootstrap import RbacObjects, bootstrap_objects
from tiphys.lib.clock import Clock
from tiphys.storage.memory import MemoryBackend

Shape = tuple[int, datetime | None]
"""What a prepared state depends on: how many nodes, and the time it was told."""


class Prepared(NamedTuple):
    """A store and what is known of it."""

    store: MemoryBackend
    learnt: Learnt


class Snapshots:
    """Prepared states by shape; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Shape, Prepared] = {}

    def has(self, shape: Shape) -> bool:
        with self._lock:
            return shape in self._kept

    def take(self, shape: Shape, clock: Clock) -> Prepared | None:
        """A store of one's own in the prepared state; None before there is one."""
        with self._lock:
            kept = self._kept.get(shape)
        return None if kept is None else Prepared(kept.store.copy(clock), kept.learnt)

    def keep(self, shape: Shape, store: MemoryBackend, learnt: Learnt, clock: Clock) -> None:
        """Remember this store's objects as they are now."""
        with self._lock:
            self._kept[shape] = Prepared(store.copy(clock), learnt)


SNAPSHOTS = Snapshots()


@functools.cache
def session_roles() -> RbacObjects:
    """The roles that every cluster has; read once. Nobody changes them."""
    return bootstrap_objects()
