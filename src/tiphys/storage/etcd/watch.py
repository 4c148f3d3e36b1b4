"""One watch over all of etcd's keys, from a revision on, that outlives the members it uses.

Over all keys, because then every revision comes with an event: whoever has the event of a revision
has all before it, and no member must be trusted when it says how far a watch has come (etcd before
3.4.25 and 3.5.8 may say too much). The stream is asked for a sign of life every PROBE_SECONDS; when
it is silent, or stays behind what is known to be written, another member continues it from the last
whole revision: nothing is lost or doubled.
Upstream: etcd client/v3/watch.go; apiserver pkg/storage/etcd3/watcher.go.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final, NamedTuple

import grpclib.client
from grpclib.exceptions import GRPCError

from tiphys.lib.tasks import TaskSet
from tiphys.storage.backend import Compacted, Event, StorageError
from tiphys.storage.etcd.client import BROKEN, EtcdClient, Member
from tiphys.storage.etcd.errors import NoAnswer
from tiphys.storage.etcd.schema import schema

log = logging.getLogger(__name__)

PROBE_SECONDS: Final = 0.5
SILENCE_SECONDS_MAX: Final = 2.0  # Some probes unanswered.
LAG_PROBES_MAX: Final = 3  # Signs of life without an event that is known to exist.
PAUSE_SECONDS: Final = 0.05  # Before the next member is tried.
# Ends the stream of a member that has lost its leader. Upstream: clientv3.WithRequireLeader.
_METADATA: Final = {"hasleader": "true"}
_ALL_KEYS: Final = {"key": b"\x00", "range_end": b"\x00"}


class Batch(NamedTuple):
    """Events of whole revisions, or none: a sign of life."""

    events: list[Event]
    cluster: int  # etcd's cluster id


class Follower:
    """Keeps `revision` and tells `deliver`. Ends only with an error: see `run`."""

    def __init__(
        self, client: EtcdClient, revision: int, deliver: Callable[[Sequence[Event]], None]
    ) -> None:
        self.revision = revision
        self.expected = revision  # Known to be written; the watch should bring it soon.
        self._client = client
        self._deliver = deliver
        self._cluster = 0

    async def run(self) -> None:
        """Follow until cancelled.

        Raises Compacted when events are lost, StorageError when the endpoints have become another
        cluster: the caller's memory of the store is worth nothing then.
        """
        while True:
            member: Member | None = None
            try:
                member = await self._client.connect()
                await self._follow(member)
            except GRPCError as error:
                self._leave(member, error.message or error.status.name)
            except (NoAnswer, *BROKEN) as error:
                self._leave(member, str(error) or type(error).__name__)
            await asyncio.sleep(PAUSE_SECONDS)

    def _leave(self, member: Member | None, why: str) -> None:
        if member is not None:
            self._client.give_up(member, f"watch: {why}")

    async def _follow(self, member: Member) -> None:
        batches = watched(member, self.revision + 1)
        behind = 0
        try:
            while True:
                async with asyncio.timeout(SILENCE_SECONDS_MAX):
                    batch = await anext(batches)
                self._client.answered(member)
                self._check_cluster(batch.cluster)
                if batch.events:
                    self._take(batch.events)
                behind = behind + 1 if not batch.events and self.expected > self.revision else 0
                if behind > LAG_PROBES_MAX:
                    raise NoAnswer("the member stays behind", may_have_happened=False)
        finally:
            await batches.aclose()

    def _take(self, events: list[Event]) -> None:
        new = [e for e in events if e.revision > self.revision]
        if new:
            self.revision = new[-1].revision
            self._deliver(new)

    def _check_cluster(self, cluster: int) -> None:
        self._cluster = self._cluster or cluster
        if cluster != self._cluster:
            raise StorageError("etcd's endpoints have become another cluster (restored?)")


async def watched(member: Member, start_revision: int) -> AsyncGenerator[Batch, None]:
    """Batches from a revision on. Raises Compacted, NoAnswer, GRPCError, BROKEN."""
    entry = schema().methods["Watch"]
    types: Any = (entry.request, entry.response)
    stub: Any = grpclib.client.StreamStreamMethod(member.channel, entry.path, *types)
    probes = TaskSet()
    async with stub.open(metadata=_METADATA) as stream:
        wanted = _ALL_KEYS | {"start_revision": start_revision, "fragment": True}
        await stream.send_message({"create_request": wanted})
        probes.start(_probe(stream), "etcd watch probe")
        try:
            held: list[Event] = []
            async for answer in stream:
                _raise_if_cancelled(answer, start_revision)
                held += [_event(e) for e in answer.get("events", ())]
                if not answer.get("fragment"):
                    yield Batch(held, answer["header"].get("cluster_id", 0))
                    held = []
            raise NoAnswer("the watch ended", may_have_happened=False)
        finally:
            await probes.close()


async def past(client: EtcdClient, start_revision: int, last_revision: int) -> list[Event]:
    """All events of these revisions. Raises Compacted, NoAnswer."""
    found: list[Event] = []
    member = await client.connect()
    batches = watched(member, start_revision)
    try:
        while not found or found[-1].revision < last_revision:
            async with asyncio.timeout(SILENCE_SECONDS_MAX):
                found += (await anext(batches)).events
    except (GRPCError, *BROKEN) as error:
        client.give_up(member, f"history: {error}")
        text = f"etcd's history cannot be read: {error}"
        raise NoAnswer(text, may_have_happened=False) from error
    finally:
        await batches.aclose()
    return [e for e in found if e.revision <= last_revision]


async def _probe(stream: Any) -> None:
    while True:
        await asyncio.sleep(PROBE_SECONDS)
        try:
            await stream.send_message({"progress_request": {}})
        except BROKEN:
            return  # The reader of the stream learns of it too.


def _raise_if_cancelled(answer: dict[str, Any], start_revision: int) -> None:
    if answer.get("compact_revision"):
        raise Compacted(start_revision, answer["compact_revision"])
    if answer.get("canceled"):
        reason = answer.get("cancel_reason", "watch cancelled")
        raise NoAnswer(reason, may_have_happened=False)


def _event(event: dict[str, Any]) -> Event:
    kv = event["kv"]
    value = None if event.get("type") == "DELETE" else kv.get("value", b"")
    return Event(key_text(kv["key"]), value, kv["mod_revision"])


def key_text(key: bytes) -> str:
    """Keys of others may be any bytes."""
    return key.decode(errors="surrogateescape")


def key_bytes(key: str) -> bytes:
    return key.encode(errors="surrogateescape")
