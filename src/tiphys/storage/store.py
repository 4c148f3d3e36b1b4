"""The backend with its watch caches: what the API server reads from and writes to.

Reads come from memory. Writes go to the backend and return once the caches have them too, so that
a client finds its own write. Keys are `/registry/pods/NAMESPACE/NAME` (core group),
`/registry/apps/deployments/NAMESPACE/NAME`; no group is called as a core resource is.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from tiphys.storage.arrivals import Arrivals
from tiphys.storage.backend import Backend, Event, KeyValue, StorageError
from tiphys.storage.cached_object import CachedObject
from tiphys.storage.watch_cache import Index, WatchCache

ROOT: Final = "/registry/"
SEALED: Final = b"k8s:enc:"  # What every value begins with that was encrypted at rest.
CATCH_UP_SECONDS_MAX: Final = 5.0  # For a write under way to reach the caches; a commit takes ms.


def resource_prefix(group: str, plural: str) -> str:
    return f"{ROOT}{group}/{plural}/" if group else f"{ROOT}{plural}/"


class Store:
    """See the module. Add caches, then `start`; more may be added later."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.revision = 0
        self._caches: dict[str, WatchCache] = {}
        self._arrivals = Arrivals()
        self._listeners: list[Callable[[Sequence[Event]], None]] = []
        self._stop: Callable[[], None] | None = None

    def add_cache(self, group: str, plural: str, head: bytes, index: Index) -> WatchCache:
        prefix = resource_prefix(group, plural)
        cache = self._caches[prefix] = WatchCache(prefix, head, index)
        return cache

    async def start(self) -> None:
        """Fill the caches and follow the backend from there. Raises StorageError."""
        snapshot = await self.backend.range(ROOT)
        by_prefix: dict[str, list[KeyValue]] = {}
        for item in snapshot.items:
            if item.value.startswith(SEALED):
                # An object that nobody can read would be missing, and be made anew by controllers.
                raise StorageError(
                    f"{item.key} is encrypted: start with the encryption configuration that "
                    "reads it (--encryption-config)"
                )
            by_prefix.setdefault(self._prefix_of(item.key), []).append(item)
        for prefix, cache in self._caches.items():
            cache.load(by_prefix.get(prefix, []), snapshot.revision)
        self.revision = snapshot.revision
        self._stop = await self.backend.watch(ROOT, snapshot.revision + 1, self._deliver)

    def on_events(self, listener: Callable[[Sequence[Event]], None]) -> None:
        """Call listener with every batch, after the caches have it."""
        self._listeners.append(listener)

    def _prefix_of(self, key: str) -> str:
        """Whose cache a key belongs to; "" for keys that are no objects."""
        end = key.find("/", len(ROOT)) + 1
        prefix = key[:end]
        if prefix in self._caches:
            return prefix
        return key[: key.find("/", end) + 1] if end else ""

    def _deliver(self, events: Sequence[Event]) -> None:
        """A committed batch enters all caches and all watch queues in this one step."""
        # Moved first: a bookmark sent from within must not promise less than was sent.
        self.revision = events[-1].revision
        if len(events) == 1:
            self._apply(self._prefix_of(events[0].key), events)
        else:
            by_prefix: dict[str, list[Event]] = {}
            for event in events:
                by_prefix.setdefault(self._prefix_of(event.key), []).append(event)
            for prefix, part in by_prefix.items():
                self._apply(prefix, part)
        for listener in self._listeners:
            listener(events)
        if self._arrivals:
            self._arrivals.arrived(self.revision)

    def _apply(self, prefix: str, events: Sequence[Event]) -> None:
        cache = self._caches.get(prefix)
        if cache is not None:
            cache.apply(events)

    @property
    def is_shared(self) -> bool:
        """Whether the caches may be behind what others wrote: see `current`."""
        return self.backend.is_shared

    async def current(self) -> None:
        """Return once the caches show every write that was committed before the call.

        Where nobody else writes they always do. Raises StorageError.
        """
        if self.backend.is_shared:
            # The last writes may have been to keys outside the root: no event of ours tells.
            self._advance(await self.backend.current())

    def _advance(self, revision: int) -> None:
        if revision > self.revision:
            self.revision = revision
            self._arrivals.arrived(revision)

    async def reached(self, revision: int) -> None:
        """Return once the caches have this revision."""
        while self.revision < revision:
            await self._arrivals.wait(revision)

    async def caught_up(self, cache: WatchCache, key: str, actual: int) -> None:
        """Return once the cache shows the write that a RevisionMismatch tells of (0: a deletion).

        The store decides before the disk has a write and the cache learns of it after: who tries
        again at once meets the same old object. Gives up after CATCH_UP_SECONDS_MAX.
        """
        wanted = actual
        if not actual:
            wanted = self.revision + 1 if cache.get(key) is not None else 0
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS_MAX):
                await self.reached(wanted)
        except TimeoutError:
            return

    async def create(
        self, cache: WatchCache, key: str, value: bytes, *, ttl_seconds: int = 0
    ) -> CachedObject:
        """Raises KeyExists, StorageError."""
        revision = await self.backend.create(key, value, ttl_seconds=ttl_seconds)
        return await self._written(cache, key, value, revision)

    async def update(
        self, cache: WatchCache, key: str, value: bytes, expected: int, *, ttl_seconds: int = 0
    ) -> CachedObject:
        """Raises RevisionMismatch, StorageError."""
        revision = await self.backend.update(key, value, expected, ttl_seconds=ttl_seconds)
        return await self._written(cache, key, value, revision)

    async def delete(self, cache: WatchCache, key: str, expected: int) -> int:
        """Returns the revision of the deletion. Raises RevisionMismatch, StorageError."""
        revision = await self.backend.delete(key, expected)
        if self.revision < revision:
            await self.reached(revision)
        return revision

    async def _written(
        self, cache: WatchCache, key: str, value: bytes, revision: int
    ) -> CachedObject:
        if self.revision < revision:
            await self.reached(revision)
        found = cache.get(key)
        if found is not None and found.revision == revision:
            return found
        # Somebody wrote it again since; the writer is still told of its own object.
        return cache.spliced(key, value, revision)

    async def close(self) -> None:
        if self._stop is not None:
            self._stop()
        await self.backend.close()
