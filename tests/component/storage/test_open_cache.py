"""Caches that are added while the store runs, as those of custom resources are."""

import asyncio
from typing import Any

import uvloop

from tiphys.lib.clock import SystemClock
from tiphys.storage.cached_object import encode_head, encode_value
from tiphys.storage.memory import MemoryBackend
from tiphys.storage.store import Store
from tiphys.storage.watch_cache import Filter, View, Watcher

PREFIX = "/registry/acme.io/widgets/"
HEAD = encode_head("acme.io/v1", "Widget")
ROUNDS = 50


class Sink:
    """Keeps what a watcher is sent."""

    def __init__(self) -> None:
        self.writable = True
        self.closed = False
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def abort(self) -> None:
        self.closed = True


def value(name: str, version: str = "v1") -> bytes:
    obj = {"kind": "Widget", "apiVersion": f"acme.io/{version}", "metadata": {"name": name}}
    return encode_value(obj)


def index(obj: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    return {}, {"name": obj["metadata"]["name"]}


async def running() -> Store:
    store = Store(MemoryBackend(SystemClock()))
    await store.start()
    return store


def test_writes_meanwhile_are_neither_lost_nor_seen_twice() -> None:
    async def story() -> None:
        store = await running()
        for n in range(ROUNDS):
            await store.backend.create(f"{PREFIX}default/before{n}", value(f"before{n}"))

        async def write() -> None:
            for n in range(ROUNDS):
                key = f"{PREFIX}default/during{n}"
                revision = await store.backend.create(key, value(f"during{n}"))
                if n % 2:
                    await store.backend.delete(key, revision)
                await asyncio.sleep(0)

        writing = asyncio.create_task(write())
        for _ in range(5):
            await asyncio.sleep(0)
        cache = await store.open_cache("acme.io", "widgets", HEAD, index)
        await writing
        await store.reached((await store.backend.range(PREFIX)).revision)
        stored = await store.backend.range(PREFIX)
        assert {k: o.revision for k, o in cache.objects.items()} == {
            item.key: item.revision for item in stored.items
        }
        assert len(cache.objects) == ROUNDS + ROUNDS // 2
        await store.close()

    uvloop.run(story())


def test_objects_of_other_versions_are_taken_and_watchers_begin_anew() -> None:
    async def story() -> None:
        store = await running()
        key = f"{PREFIX}default/a"
        await store.backend.create(key, value("a", "v0"))
        cache = await store.open_cache("acme.io", "widgets", HEAD, index)
        assert cache.objects[key].decode(cache.head)["apiVersion"] == "acme.io/v1"
        other = f"{PREFIX}default/b"
        revision = await store.backend.create(other, value("b", "v0"))
        await store.reached(revision)
        assert cache.objects[other].decode(cache.head)["metadata"]["name"] == "b"
        sink = Sink()
        watcher = Watcher(sink, View(lambda obj: HEAD + obj.tail))
        cache.watch(watcher, Filter(PREFIX), None, store.revision)
        cache.reshape(encode_head("acme.io/v2", "Widget"), index)
        assert sink.closed
        assert cache.objects[key].decode(cache.head)["apiVersion"] == "acme.io/v2"
        store.close_cache(cache)
        await store.reached(await store.backend.create(f"{PREFIX}default/c", value("c")))
        assert f"{PREFIX}default/c" not in cache.objects
        await store.close()

    uvloop.run(story())
