"""A copy of a store in memory: the same objects at the same revisions, then a life of its own."""

import asyncio
from datetime import UTC, datetime

import pytest

from tiphys.lib.clock import FakeClock
from tiphys.storage.backend import Compacted, KeyValue, RevisionMismatch
from tiphys.storage.memory import MemoryBackend


def test_a_copy_has_the_objects_and_lives_alone() -> None:
    async def story() -> None:
        clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
        first = MemoryBackend(clock)
        await first.create("/a", b"1")
        kept = await first.update("/a", b"2", 2)
        await first.create("/b", b"1", ttl_seconds=5)
        await first.create("/c", b"1")
        await first.delete("/c", 5)
        copy = first.copy(clock)
        assert copy.revision == first.revision == 6
        assert (await copy.range("/")).items == [KeyValue("/a", b"2", 3), KeyValue("/b", b"1", 4)]
        with pytest.raises(RevisionMismatch):
            await copy.update("/a", b"x", 2)
        await copy.update("/a", b"3", kept)
        assert await first.get("/a") == KeyValue("/a", b"2", 3)
        assert await copy.create("/c", b"2") == 8
        clock.advance(6)
        await copy.expire()
        assert await copy.get("/b") is None
        assert await first.get("/b") is not None

    asyncio.run(story())


def test_the_past_is_not_copied() -> None:
    async def story() -> None:
        first = MemoryBackend(FakeClock(datetime(2026, 1, 1, tzinfo=UTC)))
        await first.create("/a", b"1")
        await first.update("/a", b"2", 2)
        copy = first.copy(FakeClock(datetime(2026, 1, 1, tzinfo=UTC)))
        seen: list[int] = []
        await copy.watch("/", copy.revision + 1, lambda es: seen.extend(e.revision for e in es))
        await copy.update("/a", b"3", 3)
        assert seen == [4]
        with pytest.raises(Compacted):
            await copy.watch("/", 2, lambda events: None)

    asyncio.run(story())
