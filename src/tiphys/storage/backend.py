"""What the API server asks of a store: etcd's semantics, no more.

One revision for the whole store, raised by one with every write, starting above 1. Every write is
a compare-and-swap on the key's revision, decided by the store, so that several API servers may
share one. A write is visible, and its call returns, only once it is durable. Values are opaque
bytes and do not hold their own revision. Old revisions stay readable until they are compacted.
Upstream: etcd api/v3 (KV, Watch), apiserver pkg/storage/interfaces.go.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

FIRST_REVISION: Final = 1  # Of an empty store; the first write gets the next one, as in etcd.


class KeyValue(NamedTuple):
    key: str
    value: bytes
    revision: int  # of the write that made this value


class Event(NamedTuple):
    """A committed write. `value` is None where the key was deleted."""

    key: str
    value: bytes | None
    revision: int


class RangeResult(NamedTuple):
    items: list[KeyValue]  # in the order of their keys
    revision: int  # of the snapshot
    more: bool  # there are further keys behind the last item
    remaining_count: int  # how many


Deliver: TypeAlias = Callable[[Sequence[Event]], None]
"""Gets the writes of one commit in the order of their revisions, within one step of the loop."""


class StorageError(Exception):
    """The store could not do it; a write that raises this was not acknowledged."""


class KeyExists(StorageError):
    """create: the key is there."""


class RevisionMismatch(StorageError):
    """update, delete: the key is gone (actual 0) or has another revision than expected."""

    def __init__(self, key: str, actual: int) -> None:
        super().__init__(f"{key} is at revision {actual}")
        self.key = key
        self.actual = actual


class Compacted(StorageError):
    """The revision asked for is no longer kept; `oldest` is the first that is."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"revision {revision} has been compacted; oldest kept is {oldest}")
        self.revision = revision
        self.oldest = oldest


class FutureRevision(StorageError):
    """The revision asked for has not been written yet."""

    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"revision {revision} is ahead of the current revision {current}")
        self.revision = revision
        self.current = current


class Backend(Protocol):
    """See the module. All methods belong to one event loop; all may raise StorageError."""

    @property
    def revision(self) -> int:
        """The latest committed revision that this process has seen."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether other processes write to it: `revision` may then be behind the store's."""
        ...

    async def current(self) -> int:
        """A revision not older than any write that had been committed when this was called.

        Watchers have been told of everything up to it. Of no use where nobody else writes.
        """
        ...

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        """The key's value, now or at a past revision. Raises Compacted, FutureRevision."""
        ...

    async def range(
        self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0
    ) -> RangeResult:
        """Keys that begin with prefix, from start on, as one snapshot; 0 means no limit, now.

        Raises Compacted, FutureRevision.
        """
        ...

    def create(self, key: str, value: bytes, *, ttl_seconds: int = 0) -> Awaitable[int]:
        """Write a key that is not there; returns the revision. Raises KeyExists."""
        ...

    def update(
        self, key: str, value: bytes, expected_revision: int, *, ttl_seconds: int = 0
    ) -> Awaitable[int]:
        """Replace a key whose revision is as expected. Raises RevisionMismatch."""
        ...

    def delete(self, key: str, expected_revision: int) -> Awaitable[int]:
        """Remove a key whose revision is as expected. Raises RevisionMismatch."""
        ...

    async def watch(self, prefix: str, start_revision: int, deliver: Deliver) -> Callable[[], None]:
        """Deliver every write from start_revision on, past ones first; returns the way to stop.

        Raises Compacted.
        """
        ...

    async def compact(self, revision: int) -> None:
        """Forget what was overwritten or deleted up to and including this revision."""
        ...

    async def close(self) -> None: ...


def prefix_end(prefix: str) -> str:
    """The first key that sorts behind all keys with the prefix (ASCII keys)."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\U0010ffff"
