"""A backend in memory, for tests. Passes the suite of tests/conformance/storage like the others."""

from collections.abc import Callable
from typing import Final

from tiphys.lib.clock import Clock
from tiphys.storage.backend import (
    Compacted,
    Deliver,
    Event,
    FutureRevision,
    KeyValue,
    RangeResult,
)
from tiphys.storage.heads import Heads, Write
from tiphys.storage.subscriptions import Subscription, Subscriptions


class MemoryBackend:
    """Every write is committed at once; nothing survives the process."""

    is_shared: Final = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heads = Heads()
        self._log: list[Write] = []
        self._compacted = 0
        self._subscriptions = Subscriptions()

    @property
    def revision(self) -> int:
        return self._heads.committed

    async def current(self) -> int:
        return self._heads.committed

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        found = self._at(self._checked(revision)).get(key)
        return KeyValue(key, found.value, found.revision) if found and found.value else None

    async def range(
        self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0
    ) -> RangeResult:
        at = self._checked(revision)
        first = max(prefix, start)
        snapshot = self._at(at)
        keys = sorted(k for k in snapshot if k.startswith(prefix) and k >= first)
        shown = keys[:limit] if limit else keys
        items = [
            KeyValue(k, v, snapshot[k].revision)
            for k in shown
            if (v := snapshot[k].value) is not None
        ]
        return RangeResult(items, at, len(keys) > len(shown), len(keys) - len(shown))

    async def create(self, key: str, value: bytes, *, ttl_seconds: int = 0) -> int:
        return self._commit(self._heads.decide_create(key, value, self._expiry(ttl_seconds)))

    async def update(
        self, key: str, value: bytes, expected_revision: int, *, ttl_seconds: int = 0
    ) -> int:
        expires_at = self._expiry(ttl_seconds)
        return self._commit(self._heads.decide_update(key, value, expected_revision, expires_at))

    async def delete(self, key: str, expected_revision: int) -> int:
        return self._commit(self._heads.decide_delete(key, expected_revision))

    async def watch(self, prefix: str, start_revision: int, deliver: Deliver) -> Callable[[], None]:
        if start_revision <= self._compacted:
            raise Compacted(start_revision, self._compacted + 1)
        subscription = Subscription(prefix, deliver)
        number = self._subscriptions.add(subscription)
        subscription.go_live(
            [
                Event(w.key, w.value, w.revision)
                for w in self._log
                if w.revision >= start_revision and w.key.startswith(prefix)
            ]
        )
        return lambda: self._subscriptions.remove(number)

    async def compact(self, revision: int) -> None:
        latest = self._at(revision)
        self._log = [
            w
            for w in self._log
            if w.revision > revision or (w.value is not None and latest.get(w.key) is w)
        ]
        self._compacted = max(self._compacted, revision)

    async def expire(self) -> None:
        """Delete the keys whose time is over."""
        now = int(self._clock.now().timestamp())
        for key, revision in self._heads.expired(now, len(self._heads)):
            await self.delete(key, revision)

    def copy(self, clock: Clock) -> "MemoryBackend":
        """Another store that holds the same objects at the same revisions, without their past."""
        made = MemoryBackend(clock)
        live = self._at(self._heads.committed)
        made._log = sorted(live.values(), key=lambda write: write.revision)
        for write in made._log:
            made._heads.load(write.key, write.revision, write.expires_at)
        made._heads.committed = made._heads.assigned = self._heads.committed
        made._compacted = self._heads.committed
        return made

    async def close(self) -> None: ...

    def _expiry(self, ttl_seconds: int) -> int:
        return int(self._clock.now().timestamp()) + ttl_seconds if ttl_seconds else 0

    def _commit(self, write: Write) -> int:
        self._log.append(write)
        self._heads.committed = write.revision
        self._subscriptions.offer([Event(write.key, write.value, write.revision)])
        return write.revision

    def _checked(self, revision: int) -> int:
        if revision > self._heads.committed:
            raise FutureRevision(revision, self._heads.committed)
        if revision and revision < self._compacted:
            raise Compacted(revision, self._compacted)
        return revision or self._heads.committed

    def _at(self, revision: int) -> dict[str, Write]:
        """The live keys as of a revision."""
        latest = {w.key: w for w in self._log if w.revision <= revision}
        return {k: w for k, w in latest.items() if w.value is not None}
