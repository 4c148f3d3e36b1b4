"""The shared store: etcd's own semantics, for several API servers.

Reads are linearizable. A write is one transaction that compares the key's revision; its call
returns once this process' watch has brought the write. When the outcome of a write is unknown (the
member died, an election came between), it is sent again to the next member: the comparison makes
that safe, and the key's events since tell whether it had happened the first time. Only when no
member answers for CALL_SECONDS_MAX does the writer hear that the outcome is unknown. (Upstream
never sends a write twice and leaves every unknown outcome to its client.)
Revisions are etcd's plus an offset, which a store brought here from elsewhere needs so that its
revisions never go back (see offset); methods beginning with `_` speak of etcd's own.
One watch over all keys feeds all subscriptions. When its events are lost for good (compacted while
no member could be reached), `failed` is set, upon which the process must end and load anew.
Upstream: apiserver pkg/storage/etcd3/store.go.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final

from tiphys.lib.clock import Clock
from tiphys.lib.tasks import TaskSet
from tiphys.storage.arrivals import Arrivals
from tiphys.storage.backend import (
    Compacted,
    Deliver,
    Event,
    FutureRevision,
    KeyValue,
    RangeResult,
    RevisionMismatch,
    StorageError,
    prefix_end,
)
from tiphys.storage.etcd.client import CALL_SECONDS_MAX, PAUSE_SECONDS, EtcdClient
from tiphys.storage.etcd.compaction import COMPACT_KEY, Compactor, compact, compacted_revision
from tiphys.storage.etcd.currency import Currency
from tiphys.storage.etcd.errors import EtcdError, NoAnswer
from tiphys.storage.etcd.leases import Leases
from tiphys.storage.etcd.offset import read_offset
from tiphys.storage.etcd.transactions import Change, key_value
from tiphys.storage.etcd.watch import Follower, key_bytes, past
from tiphys.storage.subscriptions import Subscription, Subscriptions

log = logging.getLogger(__name__)

OPEN_SECONDS_MAX: Final = 60.0  # For enough members of a starting cluster to find each other.
PAGE_KEYS: Final = 500  # Of a range, in one answer: decoding more at once would stop the loop.
LEASE_TRIES_MAX: Final = 2  # A shared lease may have ended early; a fresh one has not.


class EtcdBackend:
    """See the module. Use `await EtcdBackend.open(...)`."""

    is_shared: Final = True

    def __init__(
        self, client: EtcdClient, clock: Clock, revision: int, compacted: int, offset: int
    ) -> None:
        self.failed = asyncio.Event()
        self._client = client
        self._compacted = compacted
        self._offset = offset
        self._follower = Follower(client, revision, self._took)
        self._leases = Leases(client, clock)
        self._currency = Currency(self._ask_revision)
        self._subscriptions = Subscriptions()
        self._arrivals = Arrivals()
        self._witnesses: dict[str, list[list[Event]]] = {}  # Of the keys being written.
        self._error: StorageError | None = None
        self._tasks = TaskSet()
        self._tasks.start(self._follow(), "etcd watch")
        self._tasks.start(Compactor(client, clock).run(), "etcd compaction")

    @classmethod
    async def open(
        cls, endpoints: Sequence[str], tls: ssl.SSLContext | None, clock: Clock
    ) -> "EtcdBackend":
        """Raises StorageError when no member answers for OPEN_SECONDS_MAX."""
        client = EtcdClient(endpoints, tls)
        try:
            answer = await client.call("Range", {"key": COMPACT_KEY}, OPEN_SECONDS_MAX)
            offset = await read_offset(client)
        except BaseException:
            client.close()
            raise
        compacted = compacted_revision(answer.get("kvs", []))
        return cls(client, clock, answer["header"]["revision"], compacted, offset)

    # --- following

    @property
    def revision(self) -> int:
        return self._follower.revision + self._offset

    async def _follow(self) -> None:
        try:
            await self._follower.run()
        except StorageError as error:
            log.error("the watch over the store is lost", extra={"why": error})
            self._error = error
            self.failed.set()
            self._arrivals.fail(StorageError(f"the store has failed: {error}"))

    def _took(self, events: Sequence[Event]) -> None:
        """Committed writes: witnesses and watchers first, so that a writer finds its own write."""
        for event in events:
            for seen in self._witnesses.get(event.key, ()):
                seen.append(event)
            if event.key == _COMPACT_KEY_TEXT and event.value and event.value.isdigit():
                self._compacted = max(self._compacted, int(event.value))
        self._subscriptions.offer(self._public(events))
        self._arrivals.arrived(self._follower.revision)

    def _public(self, events: Sequence[Event]) -> Sequence[Event]:
        if not self._offset:
            return events
        return [Event(e.key, e.value, e.revision + self._offset) for e in events]

    async def _followed(self, revision: int) -> None:
        """Return once the watch has brought this revision. Raises StorageError when it is lost."""
        if self._error is not None:
            raise StorageError(f"the store has failed: {self._error}") from self._error
        self._follower.expected = max(self._follower.expected, revision)
        if self._follower.revision < revision:
            await self._arrivals.wait(revision)

    async def current(self) -> int:
        """See Backend. One linearizable read for all who wait."""
        revision = await self._currency.get()
        await self._followed(revision)
        return revision + self._offset

    async def _ask_revision(self) -> int:
        answer = await self._client.call("Range", {"key": COMPACT_KEY, "count_only": True})
        revision: int = answer["header"]["revision"]
        return revision

    # --- reading

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        answer = await self._range({"key": key_bytes(key)}, revision)
        kvs = answer.get("kvs", [])
        return key_value(kvs[0], self._offset) if kvs else None

    async def range(
        self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0
    ) -> RangeResult:
        items: list[KeyValue] = []
        first, end = key_bytes(max(prefix, start)), key_bytes(prefix_end(prefix))
        while True:
            page = min(PAGE_KEYS, limit - len(items)) if limit else PAGE_KEYS
            request = {"key": first, "range_end": end, "limit": page}
            answer = await self._range(request, revision)
            # The first page tells the revision at which the others are read.
            revision = revision or answer["header"]["revision"] + self._offset
            kvs = answer.get("kvs", [])
            items += [key_value(kv, self._offset) for kv in kvs]
            if not answer.get("more") or (limit and len(items) >= limit):
                left = answer.get("count", 0) - len(kvs)
                return RangeResult(items, revision, left > 0, left)
            first = kvs[-1]["key"] + b"\x00"

    async def _range(self, request: dict[str, Any], revision: int) -> dict[str, Any]:
        """As of a public revision; 0: now."""
        at = revision - self._offset if revision else 0
        if revision and at <= 0:
            raise Compacted(revision, self._compacted + self._offset)
        try:
            return await self._client.call("Range", request | {"revision": at})
        except EtcdError as error:
            if error.is_compacted:
                oldest = max(self._compacted + self._offset, revision + 1)
                raise Compacted(revision, oldest) from error
            if error.is_future:
                raise FutureRevision(revision, self.revision) from error
            raise

    async def watch(self, prefix: str, start_revision: int, deliver: Deliver) -> Callable[[], None]:
        # etcd itself would leave out a deletion at the very revision of the compaction.
        start = start_revision - self._offset
        if start <= self._compacted:
            raise Compacted(start_revision, self._compacted + self._offset + 1)
        subscription = Subscription(prefix, deliver, start_revision)
        number = self._subscriptions.add(subscription)
        now, found = self._follower.revision, []
        try:
            if start <= now:
                found = await past(self._client, start, now)
        except Compacted as error:
            self._subscriptions.remove(number)
            raise Compacted(start_revision, error.oldest + self._offset) from error
        except BaseException:
            self._subscriptions.remove(number)
            raise
        subscription.go_live([e for e in self._public(found) if e.key.startswith(prefix)])
        return lambda: self._subscriptions.remove(number)

    # --- writing

    async def create(self, key: str, value: bytes, *, ttl_seconds: int = 0) -> int:
        return await self._write(key, value, 0, ttl_seconds)

    async def update(
        self, key: str, value: bytes, expected_revision: int, *, ttl_seconds: int = 0
    ) -> int:
        await self._check_expected(key, expected_revision)
        expected = expected_revision - self._offset
        return await self._write(key, value, expected, ttl_seconds)

    async def delete(self, key: str, expected_revision: int) -> int:
        await self._check_expected(key, expected_revision)
        return await self._write(key, None, expected_revision - self._offset, 0)

    async def _check_expected(self, key: str, expected: int) -> None:
        """For etcd 0 is the revision of a key that is not there: the comparison would hold."""
        if expected <= self._offset:
            found = await self.get(key)
            raise RevisionMismatch(key, found.revision if found else 0)

    async def _write(self, key: str, value: bytes | None, expected: int, ttl_seconds: int) -> int:
        for last in (False, True):
            lease = await self._leases.lease_for(ttl_seconds)
            try:
                return await self._commit(Change(key, value, expected, lease)) + self._offset
            except EtcdError as error:
                if not error.is_without_lease or last:
                    raise
                self._leases.forget(lease)
        raise AssertionError("unreachable")

    async def _commit(self, change: Change) -> int:
        """Send it until its outcome is known. Raises KeyExists, RevisionMismatch, StorageError."""
        seen: list[Event] = []
        self._witnesses.setdefault(change.key, []).append(seen)
        try:
            answer, is_uncertain = await self._answered(change)
            revision: int = answer["header"]["revision"]
            await self._followed(revision)
            if answer.get("succeeded"):
                return revision
            if is_uncertain and (done := change.done_at(seen)):
                return done
            raise change.refusal(answer, self._offset)
        finally:
            witnesses = self._witnesses[change.key]
            witnesses[:] = [w for w in witnesses if w is not seen]
            if not witnesses:
                del self._witnesses[change.key]

    async def _answered(self, change: Change) -> tuple[dict[str, Any], bool]:
        """etcd's answer, and whether it may be to a repetition."""
        request = change.request()
        loop = asyncio.get_running_loop()
        end = loop.time() + CALL_SECONDS_MAX
        is_uncertain = False
        while True:
            try:
                return await self._client.attempt("Txn", request), is_uncertain
            except NoAnswer as error:
                is_uncertain = is_uncertain or error.may_have_happened
                if loop.time() + PAUSE_SECONDS >= end:
                    outcome = "it may have happened" if is_uncertain else "it did not happen"
                    raise StorageError(
                        f"no etcd member answered a write of {change.key}, {outcome}: {error}"
                    ) from error
            await asyncio.sleep(PAUSE_SECONDS)

    # --- what time does

    async def compact(self, revision: int) -> None:
        until = revision - self._offset
        if not self._compacted < until <= self._follower.revision:
            return
        await compact(self._client, until)
        self._compacted = max(self._compacted, until)

    async def close(self) -> None:
        self._error = self._error or StorageError("it is closed")
        await self._tasks.close()
        await self._currency.close()
        self._arrivals.fail(self._error)
        self._client.close()


_COMPACT_KEY_TEXT: Final = COMPACT_KEY.decode()
