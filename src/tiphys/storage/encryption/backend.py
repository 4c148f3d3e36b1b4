"""A store whose chosen values are sealed: any other backend behind it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tiphys.storage.backend import (
    Backend,
    Deliver,
    Event,
    KeyValue,
    RangeResult,
    RevisionMismatch,
)
from tiphys.storage.encryption.configuration import EncryptionConfig

log = logging.getLogger(__name__)

REWRITES_AT_ONCE: Final = 100
SHORT_LIVED: Final = "/registry/events/"  # They end by themselves, and writing would renew them.


class EncryptingBackend:
    """See the module, and `Backend` for what each method does."""

    def __init__(self, backend: Backend, config: EncryptionConfig) -> None:
        self._backend = backend
        self._config = config
        self._stale: dict[str, int] = {}  # Keys and revisions that would be sealed otherwise today.

    @property
    def revision(self) -> int:
        return self._backend.revision

    @property
    def is_shared(self) -> bool:
        return self._backend.is_shared

    async def current(self) -> int:
        return await self._backend.current()

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        found = await self._backend.get(key, revision)
        return None if found is None else self._opened(found)

    async def range(
        self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0
    ) -> RangeResult:
        found = await self._backend.range(prefix, start=start, limit=limit, revision=revision)
        return found._replace(items=[self._opened(item) for item in found.items])

    def create(self, key: str, value: bytes, *, ttl_seconds: int = 0) -> Awaitable[int]:
        return self._backend.create(key, self._sealed(key, value), ttl_seconds=ttl_seconds)

    def update(
        self, key: str, value: bytes, expected_revision: int, *, ttl_seconds: int = 0
    ) -> Awaitable[int]:
        sealed = self._sealed(key, value)
        return self._backend.update(key, sealed, expected_revision, ttl_seconds=ttl_seconds)

    def delete(self, key: str, expected_revision: int) -> Awaitable[int]:
        return self._backend.delete(key, expected_revision)

    async def watch(self, prefix: str, start_revision: int, deliver: Deliver) -> Callable[[], None]:
        def opened(events: Sequence[Event]) -> None:
            deliver([self._opened_event(event) for event in events])

        return await self._backend.watch(prefix, start_revision, opened)

    async def compact(self, revision: int) -> None:
        await self._backend.compact(revision)

    async def close(self) -> None:
        await self._backend.close()

    async def rewrite_stale(self) -> int:
        """Seal anew what a range showed to be sealed otherwise, or not at all. Returns how many.

        Who writes meanwhile seals it so already. Raises StorageError.
        """
        stale = [(k, r) for k, r in self._stale.items() if not k.startswith(SHORT_LIVED)]
        self._stale.clear()
        for start in range(0, len(stale), REWRITES_AT_ONCE):
            part = stale[start : start + REWRITES_AT_ONCE]
            await asyncio.gather(*(self._rewrite(key, revision) for key, revision in part))
        if stale:
            log.info("values sealed anew", extra={"count": len(stale)})
        return len(stale)

    async def _rewrite(self, key: str, revision: int) -> None:
        found = await self.get(key)
        if found is None or found.revision != revision:
            return
        try:
            await self.update(key, found.value, revision)
        except RevisionMismatch:
            return

    def _sealed(self, key: str, value: bytes) -> bytes:
        transformer = self._config.transformer_of(key)
        return value if transformer is None else transformer.seal(key, value)

    def _opened(self, item: KeyValue) -> KeyValue:
        transformer = self._config.transformer_of(item.key)
        if transformer is None:
            return item
        opened = transformer.open(item.key, item.value)
        if opened.is_stale:
            self._stale[item.key] = item.revision
        else:
            self._stale.pop(item.key, None)
        return item._replace(value=opened.value)

    def _opened_event(self, event: Event) -> Event:
        if event.value is None:
            return event
        return event._replace(value=self._opened(KeyValue(*event)).value)  # type: ignore[arg-type]
