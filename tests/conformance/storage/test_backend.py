"""The contract of `storage.backend`, for every backend that exists."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.etcd import etcd
from tiphys.lib.clock import FakeClock
from tiphys.storage.backend import (
    Compacted,
    Event,
    FutureRevision,
    KeyExists,
    KeyValue,
    RevisionMismatch,
)
from tiphys.storage.etcd.backend import EtcdBackend
from tiphys.storage.memory import MemoryBackend
from tiphys.storage.sqlite import SqliteBackend

AnyBackend = MemoryBackend | SqliteBackend | EtcdBackend
Story = Callable[[AnyBackend, FakeClock], Awaitable[None]]
BACKENDS = ["memory", "sqlite", "etcd"]
EXPIRY_SECONDS_MAX = 15  # etcd's shortest lease is 2 s, and it looks at them twice a second.


@asynccontextmanager
async def opened(kind: str, path: Path, clock: FakeClock) -> AsyncIterator[AnyBackend]:
    """A new store of a kind."""
    with etcd() if kind == "etcd" else nullcontext() as cluster:
        if cluster is not None:
            backend: AnyBackend = await EtcdBackend.open(cluster.endpoints, cluster.tls(), clock)
        elif kind == "sqlite":
            backend = await SqliteBackend.open(path / "db", clock)
        else:
            backend = MemoryBackend(clock)
        try:
            yield backend
        finally:
            await backend.close()


async def until_gone(backend: AnyBackend, key: str, clock: FakeClock) -> None:
    """Let time pass until a key has ended: by our clock, or for etcd by its own."""
    async with asyncio.timeout(EXPIRY_SECONDS_MAX):
        while await backend.get(key) is not None:
            if isinstance(backend, EtcdBackend):
                await asyncio.sleep(0.1)
            else:
                clock.advance(1)
                await backend.expire()


@pytest.fixture(params=BACKENDS)
def tell(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Story], None]:
    def run(story: Story) -> None:
        async def whole() -> None:
            clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
            async with opened(request.param, tmp_path, clock) as backend:
                await story(backend, clock)

        asyncio.run(whole())

    return run


Tell = Callable[[Story], None]


def test_every_write_raises_the_one_revision(tell: Tell) -> None:
    async def story(backend: AnyBackend, clock: FakeClock) -> None:
        assert backend.revision == 1
        assert await backend.create("/a/x", b"1") == 2
        assert await backend.create("/b/y", b"2") == 3
        assert await backend.update("/a/x", b"3", 2) == 4
        assert await backend.delete("/b/y", 3) == 5
        assert backend.revision == 5
        assert await backend.get("/a/x") == KeyValue("/a/x", b"3", 4)
        assert await backend.get("/b/y") is None

    tell(story)


def test_a_write_compares_the_keys_revision(tell: Tell) -> None:
    async def story(backend: AnyBackend, clock: FakeClock) -> None:
        await backend.create("/a", b"1")
        with pytest.raises(KeyExists):
            await backend.create("/a", b"2")
        with pytest.raises(RevisionMismatch) as mismatch:
            await backend.update("/a", b"2", 7)
        assert mismatch.value.actual == 2
        with pytest.raises(RevisionMismatch):
            await backend.delete("/a", 7)
        with pytest.raises(RevisionMismatch) as gone:
            await backend.update("/none", b"2", 0)
        assert gone.value.actual == 0
        assert backend.revision == 2

    tell(story)


def test_of_many_writers_at_once_one_wins(tell: Tell) -> None:
    async def story(backend: AnyBackend, clock: FakeClock) -> None:
        await backend.create("/a", b"0")

        async def update(value: bytes) -> bool:
            try:
                await backend.update("/a", value, 2)
            except RevisionMismatch:
                return False
            return True

        won = await asyncio.gather(*(update(b"%d" % n) for n in range(20)))
        assert won.count(True) == 1
        assert backend.revision == 3
        await asyncio.gather(*(backend.create(f"/many/{n:03}", b"v") for n in range(300)))
        assert len((await backend.range("/many/")).items) == 300

    tell(story)


def test_range_reads_a_snapshot_in_pages(tell: Tell) -> None:
    async def story(backend: AnyBackend, clock: FakeClock) -> None:
        for name in "abcd":
            await backend.create(f"/p/{name}", name.encode())
        await backend.create("/q/z", b"z")
        first = await backend.range("/p/", limit=2)
        assert [kv.key for kv in first.items] == ["/p/a", "/p/b"]
        assert (first.revision, first.more, first.remaining_count) == (6, True, 2)
        await backend.delete("/p/c", 4)
        await backend.update("/p/d", b"new", 5)
        rest = await backend.range("/p/", start="/p/c", revision=first.revision)
        assert rest.items == [KeyValue("/p/c", b"c", 4), KeyValue("/p/d", b"d", 5)]
        assert not rest.more
        now = await backend.range("/p/", start="/p/c")
        assert now.items == [KeyValue("/p/d", b"new", 8)]
        with pytest.raises(FutureRevision):
            await backend.range("/p/", revision=99)

    tell(story)


def test_get_reads_the_past(tell: Tell) -> None:
    async def story(backend: AnyBackend, clock: FakeClock) -> None:
        await backend.create("/a", b"1")
        await backend.update("/a", b"2", 2)
        await backend.delete("/a", 3)
        assert [await backend.get("/a", r) for r in (2, 3, 4)] == [
            KeyValue("/a", b"1", 2),
            KeyValue("/a", b"2", 3),
            None,
        ]

    tell(story)


def test_compaction_forgets_only_what_was_overwritten(tell: Tell) -> None:
    async def story(backend: AnyBackend, clock: FakeClock) -> None:
        await backend.create("/a", b"1")
        await backend.create("/b", b"1")
        await backend.update("/a", b"2", 2)
        await backend.delete("/b", 3)
        await backend.compact(5)
        assert (await backend.range("/")).items == [KeyValue("/a", b"2", 4)]
        assert (await backend.range("/", revision=5)).items == [KeyValue("/a", b"2", 4)]
        with pytest.raises(Compacted):
            await backend.range("/", revision=4)
        with pytest.raises(Compacted):
            await backend.watch("/", 5, lambda events: None)
        assert await backend.create("/b", b"3") == 6

    tell(story)


def test_a_watch_tells_the_past_then_the_present_once(tell: Tell) -> None:
    async def story(backend: AnyBackend, clock: FakeClock) -> None:
        await backend.create("/p/a", b"1")
        await backend.create("/q/a", b"1")
        await backend.update("/p/a", b"2", 2)
        seen: list[Event] = []

        def deliver(events: Sequence[Event]) -> None:
            seen.extend(events)

        stop = await backend.watch("/p/", 3, deliver)
        await backend.delete("/p/a", 4)
        await backend.create("/q/b", b"1")
        await backend.create("/p/b", b"3")
        stop()
        await backend.create("/p/c", b"4")
        assert seen == [Event("/p/a", b"2", 4), Event("/p/a", None, 5), Event("/p/b", b"3", 7)]

    tell(story)


def test_a_watcher_hears_of_a_write_before_its_writer(tell: Tell) -> None:
    async def story(backend: AnyBackend, clock: FakeClock) -> None:
        seen: list[int] = []
        await backend.watch("/", 2, lambda events: seen.extend(e.revision for e in events))
        for _ in range(20):
            revision = await backend.create(f"/{len(seen)}", b"1")
            assert revision in seen

    tell(story)


def test_keys_with_a_time_to_live_end(tell: Tell) -> None:
    async def story(backend: AnyBackend, clock: FakeClock) -> None:
        await backend.create("/short", b"1", ttl_seconds=2)
        await backend.create("/renewed", b"1", ttl_seconds=2)
        await backend.create("/kept", b"1")
        await backend.create("/freed", b"1", ttl_seconds=2)
        await backend.update("/renewed", b"2", 3, ttl_seconds=1000)
        await backend.update("/freed", b"2", 5)
        told: asyncio.Future[Sequence[Event]] = asyncio.get_running_loop().create_future()
        await backend.watch("/short", backend.revision + 1, told.set_result)
        await until_gone(backend, "/short", clock)
        async with asyncio.timeout(EXPIRY_SECONDS_MAX):
            assert [(e.key, e.value) for e in await told] == [("/short", None)]
        assert [kv.key for kv in (await backend.range("/")).items] == [
            "/freed",
            "/kept",
            "/renewed",
        ]

    tell(story)
