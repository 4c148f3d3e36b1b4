"""Several Stores over one backend: each is current when it says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import orjson
import pytest

from support.etcd import etcd
from tiphys.lib.clock import SystemClock
from tiphys.storage.cached_object import encode_head, encode_value
from tiphys.storage.etcd.backend import EtcdBackend
from tiphys.storage.memory import MemoryBackend
from tiphys.storage.sqlite import SqliteBackend
from tiphys.storage.store import Store
from tiphys.storage.watch_cache import WatchCache

HEAD = encode_head("v1", "ConfigMap")
ROUNDS = 100


async def a_store(backend: MemoryBackend | SqliteBackend | EtcdBackend) -> tuple[Store, WatchCache]:
    store = Store(backend)
    cache = store.add_cache("", "configmaps", HEAD, lambda obj: ({}, {}))
    await store.start()
    return store, cache


@asynccontextmanager
async def two_stores(
    kind: str, path: Path
) -> AsyncIterator[tuple[tuple[Store, WatchCache], tuple[Store, WatchCache]]]:
    """In one process where the backend is the process' own, with a client each otherwise."""
    clock = SystemClock()
    with etcd() if kind == "etcd" else nullcontext() as cluster:
        if cluster is not None:
            one = await EtcdBackend.open(cluster.endpoints, cluster.tls(), clock)
            other = await EtcdBackend.open(cluster.endpoints, cluster.tls(), clock)
            stores = await a_store(one), await a_store(other)
        else:
            own = (
                MemoryBackend(clock)
                if kind == "memory"
                else await SqliteBackend.open(path / "db", clock)
            )
            stores = await a_store(own), await a_store(own)
        try:
            yield stores
        finally:
            for store, _ in stores:
                await store.close()


def value_of(name: str, data: str) -> bytes:
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}}
    return encode_value(obj | {"data": {"k": data}})


@pytest.mark.parametrize("kind", ["memory", "sqlite", "etcd"])
def test_a_current_store_shows_what_the_other_wrote(kind: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with two_stores(kind, tmp_path) as ((writer, written), (reader, read)):
            for count in range(ROUNDS):
                key = f"/registry/configmaps/default/c{count}"
                made = await writer.create(written, key, value_of(f"c{count}", "1"))
                await reader.current()
                shown = read.get(key)
                assert shown is not None
                assert shown.revision == made.revision
                assert reader.revision >= made.revision
                # And back: each on what the other one wrote.
                changed = await reader.update(read, key, value_of(f"c{count}", "2"), shown.revision)
                await writer.current()
                found = written.get(key)
                assert found is not None
                assert found.revision == changed.revision
                assert orjson.loads(HEAD + found.tail)["data"] == {"k": "2"}

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["memory", "sqlite", "etcd"])
def test_a_write_outside_the_caches_moves_a_current_store(kind: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with two_stores(kind, tmp_path) as ((writer, _), (reader, _)):
            for key in ("/registry/masterleases/10.0.0.1", "/registry/foreign", "/elsewhere"):
                revision = await writer.backend.create(key, b"not an object")
                await reader.current()
                if reader.is_shared or key.startswith("/registry/"):
                    assert reader.revision >= revision

    asyncio.run(story())
