"""What the file keeps between two lives of the store."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tiphys.lib.clock import FakeClock
from tiphys.storage.backend import Compacted, KeyValue, StorageError
from tiphys.storage.sqlite import SqliteBackend


def a_clock() -> FakeClock:
    return FakeClock(datetime(2026, 1, 1, tzinfo=UTC))


def test_a_second_life_finds_objects_revision_times_and_compaction(tmp_path: Path) -> None:
    async def story() -> None:
        clock = a_clock()
        store = await SqliteBackend.open(tmp_path / "db", clock)
        await store.create("/a", b"1", ttl_seconds=60)
        await store.create("/b", b"1")
        await store.update("/b", b"2", 3)
        await store.delete("/b", 4)
        await store.compact(5)
        await store.close()

        clock.advance(61)
        store = await SqliteBackend.open(tmp_path / "db", clock)
        assert store.revision == 5  # Its row, a tombstone, has been compacted away.
        assert (await store.range("/")).items == [KeyValue("/a", b"1", 2)]
        with pytest.raises(Compacted):
            await store.get("/a", 3)
        await store.expire()
        assert (await store.range("/")).items == []
        await store.close()

    asyncio.run(story())


def test_one_process_at_a_time(tmp_path: Path) -> None:
    async def story() -> None:
        store = await SqliteBackend.open(tmp_path / "db", a_clock())
        with pytest.raises(StorageError, match="in use"):
            await SqliteBackend.open(tmp_path / "db", a_clock())
        await store.close()

    asyncio.run(story())


def test_a_long_compaction_never_brings_the_dead_back(tmp_path: Path) -> None:
    """More rows than one step deletes; every step leaves a store that reads the same."""

    async def story() -> None:
        store = await SqliteBackend.open(tmp_path / "db", a_clock())
        first = await asyncio.gather(*(store.create(f"/{n:04}", b"1") for n in range(3000)))
        await asyncio.gather(*(store.delete(f"/{n:04}", first[n]) for n in range(2999)))
        work = asyncio.ensure_future(store.compact(store.revision))
        while not work.done():
            assert [kv.key for kv in (await store.range("/")).items] == ["/2999"]
        await work
        await store.close()
        store = await SqliteBackend.open(tmp_path / "db", a_clock())
        assert [kv.key for kv in (await store.range("/")).items] == ["/2999"]
        await store.close()

    asyncio.run(story())


def test_a_failed_commit_fails_all_later_writes(tmp_path: Path) -> None:
    async def story() -> None:
        store = await SqliteBackend.open(tmp_path / "db", a_clock())
        await store.create("/a", b"1")
        # Another process broke the file: as good a failing commit as a failing fsync.
        await asyncio.get_running_loop().run_in_executor(
            None, lambda: store._db.execute("DROP TABLE history")
        )
        waiting = [store.create(f"/{n}", b"1") for n in range(3)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(r, StorageError) for r in results)
        assert store.failed.is_set()
        with pytest.raises(StorageError, match="has failed"):
            await store.create("/b", b"1")
        assert store.revision == 2
        await store.close()

    asyncio.run(story())
