"""No acknowledged write is lost and no revision comes twice: kill -9, power cuts, a full disk."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.gaps import missing
from support.recording_vfs import Recorder, files_after, recording
from tiphys.lib.clock import FakeClock, SystemClock
from tiphys.storage import sqlite
from tiphys.storage.backend import StorageError
from tiphys.storage.sqlite import DiskFull, SqliteBackend

KILLS = 50
POWER_CUTS = 200
WRITERS = 20


def a_clock() -> FakeClock:
    return FakeClock(datetime(2026, 1, 1, tzinfo=UTC))


async def write_for_ever(path: Path, acknowledge: int, life: int) -> None:
    store = await SqliteBackend.open(path, SystemClock())

    async def writer(number: int) -> None:
        for count in range(1_000_000):
            key = f"/{life}/{number}/{count}"
            revision = await store.create(key, b"v" * 300)
            os.write(acknowledge, f"{key} {revision}\n".encode())

    await asyncio.gather(*(writer(n) for n in range(WRITERS)))


def one_life(path: Path, life: int, bytes_told: int) -> dict[str, int]:
    """Write in a process of its own, kill it when it was told so much, and return all of that."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            asyncio.run(write_for_ever(path, writer, life))
        finally:
            os._exit(1)
    os.close(writer)
    first = b""
    while len(first) < bytes_told:
        first += os.read(reader, 256)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with os.fdopen(reader, "rb") as rest:
        lines = (first + rest.read()).decode().splitlines()
    return {key: int(revision) for key, revision in (line.split() for line in lines)}


def test_kill_9_loses_no_acknowledged_write(tmp_path: Path) -> None:
    rng = random.Random(1)
    path = tmp_path / "db"
    acknowledged: dict[str, int] = {}
    newest = 0

    async def check() -> int:
        store = await SqliteBackend.open(path, a_clock())
        found = {kv.key: kv.revision for kv in (await store.range("/")).items}
        revision = store.revision
        await store.close()
        assert acknowledged.items() <= found.items()
        return revision

    for life in range(KILLS):
        told = one_life(path, life, rng.randrange(1, 3000))
        assert min(told.values()) > newest, "a revision was given out twice"
        acknowledged |= told
        newest = asyncio.run(check())
        assert newest >= max(acknowledged.values())
    assert len(acknowledged) > KILLS


def record_a_life(tmp_path: Path) -> tuple[Recorder, Path]:
    path = tmp_path / "live" / "db"
    path.parent.mkdir()

    async def story(recorder: Recorder) -> None:
        store = await SqliteBackend.open(path, a_clock())

        async def writer(number: int) -> None:
            for count in range(30):
                key = f"/{number}/{count}"
                revision = await store.create(key, b"v" * 2000)
                recorder.ack(f"{key} {revision}")

        await asyncio.gather(*(writer(n) for n in range(WRITERS)))
        await store.compact(store.revision)
        await store.close()

    with recording() as recorder:
        if recorder is None:
            missing("SQLite is built into this Python: its writes cannot be recorded")
        asyncio.run(story(recorder))
    return recorder, path


def cut_and_check(recorder: Recorder, path: Path, where: Path, rng: random.Random) -> bool:
    """True when a store opened on what a power cut left has all that was acknowledged."""
    first = next(i for i, s in enumerate(recorder.steps) if s.kind == "ack")
    steps = recorder.steps[: rng.randrange(first, len(recorder.steps))]
    acknowledged = dict(s.path.split() for s in steps if s.kind == "ack")
    where.mkdir()
    for name, content in files_after(steps, rng).items():
        (where / Path(name).name).write_bytes(content)

    async def read() -> dict[str, str]:
        store = await SqliteBackend.open(where / path.name, a_clock())
        found = {kv.key: str(kv.revision) for kv in (await store.range("/")).items}
        newest = store.revision
        await store.close()
        if acknowledged:
            assert newest >= max(map(int, acknowledged.values()))
        return found

    try:
        found = asyncio.run(read())
    except (StorageError, sqlite3.DatabaseError, AssertionError):
        return False
    return acknowledged.items() <= found.items()


def test_power_cuts_lose_no_acknowledged_write(tmp_path: Path) -> None:
    recorder, path = record_a_life(tmp_path)
    rng = random.Random(2)
    kept = [cut_and_check(recorder, path, tmp_path / str(n), rng) for n in range(POWER_CUTS)]
    assert kept.count(False) == 0


def test_the_simulation_notices_a_store_that_does_not_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the sync at each commit the same cuts do lose writes: the test above can fail."""
    honest = sqlite.connect

    def careless(path: Path) -> sqlite3.Connection:
        db = honest(path)
        db.execute("PRAGMA synchronous=NORMAL")
        return db

    monkeypatch.setattr(sqlite, "connect", careless)
    recorder, path = record_a_life(tmp_path)
    monkeypatch.undo()
    rng = random.Random(3)
    kept = [cut_and_check(recorder, path, tmp_path / str(n), rng) for n in range(20)]
    assert kept.count(False) > 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "small"
    where.mkdir()
    options = ["-t", "tmpfs", "-o", "size=2m", "tiphys-test", str(where)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        missing("mounting a small disk needs root")
    yield where
    subprocess.run(["umount", str(where)], check=True)


@pytest.mark.root
def test_a_full_disk_is_an_error_and_never_an_acknowledgement(small_disk: Path) -> None:
    async def story() -> None:
        store = await SqliteBackend.open(small_disk / "db", a_clock())
        acknowledged: dict[str, int] = {}
        errors: list[Exception] = []
        for number in range(4000):
            key = f"/{number:04}"
            try:
                acknowledged[key] = await store.create(key, b"v" * 4000)
            except StorageError as error:
                errors.append(error)
                if len(errors) == 3:
                    break
        assert errors
        assert isinstance(errors[0], DiskFull)
        # Reading goes on, and so does the next life of the store.
        assert len((await store.range("/")).items) == len(acknowledged)
        await store.close()
        store = await SqliteBackend.open(small_disk / "db", a_clock())
        found = {kv.key: kv.revision for kv in (await store.range("/")).items}
        assert found == acknowledged
        await store.close()

    asyncio.run(story())
