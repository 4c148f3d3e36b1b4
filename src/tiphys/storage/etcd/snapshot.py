"""Snapshots of etcd: taken while it is in use, loaded while no API server is.

A snapshot is loaded with many keys to a transaction, which etcd counts as one revision.
"""

from typing import Any, Final

from tiphys.lib.clock import Clock
from tiphys.storage.backend import StorageError
from tiphys.storage.etcd.client import EtcdClient
from tiphys.storage.etcd.compaction import COMPACT_KEY, compact
from tiphys.storage.etcd.leases import Leases
from tiphys.storage.etcd.offset import OFFSET_KEY, read_offset
from tiphys.storage.etcd.watch import key_bytes, key_text
from tiphys.storage.snapshot import Item, Snapshot

PAGE_KEYS: Final = 500
BATCH_KEYS_MAX: Final = 100  # etcd's --max-txn-ops is 128.
BATCH_BYTES_MAX: Final = 1_000_000  # etcd's --max-request-bytes is 1.5 MiB.
LOAD_SECONDS_MAX: Final = 30.0  # For one batch.
_EVERYTHING: Final = (b"\x00", b"\x00")
_ROOT: Final = (b"/registry/", b"/registry0")
_MASTERS: Final = (b"/registry/masterleases/", b"/registry/masterleases0")
_OWN: Final = frozenset({COMPACT_KEY, OFFSET_KEY})


async def take(client: EtcdClient, clock: Clock) -> Snapshot:
    """All keys as of now. Raises StorageError."""
    offset = await read_offset(client)
    now = int(clock.now().timestamp())
    ends: dict[int, int] = {}
    items: list[Item] = []
    first, revision = _EVERYTHING[0], 0
    while True:
        request = {"key": first, "range_end": _EVERYTHING[1], "limit": PAGE_KEYS}
        answer = await client.call("Range", request | {"revision": revision})
        revision = revision or answer["header"]["revision"]
        kvs = answer.get("kvs", [])
        for kv in kvs:
            if kv["key"] not in _OWN:
                end = await _end_of(client, kv.get("lease", 0), now, ends)
                value = kv.get("value", b"")
                items.append(Item(key_text(kv["key"]), value, kv["mod_revision"] + offset, end))
        if not answer.get("more"):
            return Snapshot(revision + offset, items)
        first = kvs[-1]["key"] + b"\x00"


async def _end_of(client: EtcdClient, lease: int, now: int, known: dict[int, int]) -> int:
    """When a lease ends, in Unix seconds; 0 for none."""
    if lease and lease not in known:
        answer = await client.call("LeaseTimeToLive", {"ID": lease})
        known[lease] = now + max(answer.get("TTL", 0), 1)
    return known.get(lease, 0)


async def load(client: EtcdClient, snapshot: Snapshot, clock: Clock) -> None:
    """Replace what Tiphys keeps in etcd by a snapshot.

    Its revision is then above all that etcd and the snapshot have told, and everything up to it is
    compacted: a watch that goes on from before is told to list anew. When it fails in the middle,
    do it again. Raises StorageError, also when an API server lives.
    """
    await _refuse_if_used(client)
    answer = await client.call("DeleteRange", _span(_ROOT))
    # Ahead of every write from here on: no object gets a revision that it may have had before.
    behind = snapshot.revision + 1 - answer["header"]["revision"]
    offset = max(await read_offset(client), behind)
    leases = Leases(client, clock)
    now = int(clock.now().timestamp())
    for batch in batches(snapshot.alive(now)):
        puts = [{"request_put": await _put(item, leases, now)} for item in batch]
        answer = await client.call("Txn", {"success": puts}, LOAD_SECONDS_MAX)
    native = answer["header"]["revision"]
    marks = {OFFSET_KEY: offset, COMPACT_KEY: native}
    puts = [{"request_put": {"key": k, "value": b"%d" % v}} for k, v in marks.items()]
    await client.call("Txn", {"success": puts})
    await compact(client, native)


async def _refuse_if_used(client: EtcdClient) -> None:
    answer = await client.call("Range", _span(_MASTERS) | {"keys_only": True})
    names = [key_text(kv["key"]).rpartition("/")[2] for kv in answer.get("kvs", [])]
    if names:
        raise StorageError(
            f"API servers use the store ({', '.join(names)}): stop them and wait 15 seconds"
        )


async def _put(item: Item, leases: Leases, now: int) -> dict[str, Any]:
    lease = await leases.lease_for(item.expires_at - now if item.expires_at else 0)
    return {"key": key_bytes(item.key), "value": item.value, "lease": lease}


def batches(items: list[Item]) -> list[list[Item]]:
    """Items in groups that fit into a transaction."""
    found: list[list[Item]] = []
    size = BATCH_BYTES_MAX
    for item in items:
        added = len(item.key) + len(item.value)
        if size + added > BATCH_BYTES_MAX or len(found[-1]) == BATCH_KEYS_MAX:
            found.append([])
            size = 0
        found[-1].append(item)
        size += added
    return found


def _span(span: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"key": span[0], "range_end": span[1]}
