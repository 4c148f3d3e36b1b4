"""`tiphys store`: from a store that is used into a file, and into the other kind of store."""

import asyncio
import gzip
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.etcd import EtcdCluster, etcd
from support.waiting import until
from tiphys.__main__ import main
from tiphys.cluster.profile import Profile, Roots
from tiphys.cluster.store_location import sqlite_of
from tiphys.lib.clock import FakeClock, SystemClock
from tiphys.storage.backend import Backend, Compacted, Event, RevisionMismatch
from tiphys.storage.etcd.backend import EtcdBackend
from tiphys.storage.sqlite import SqliteBackend
from tiphys.storage.store import ROOT

NAME = "stored"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("TIPHYS_HOME", str(tmp_path))
    roots = Roots.from_environment({"TIPHYS_HOME": str(tmp_path)})
    made = Profile(NAME, roots, 6443, "10.1.0.0/24", "10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/24")
    made.save()
    sqlite_of(made).path.parent.mkdir()
    return made


def tiphys(*arguments: str) -> int:
    return main(["-p", NAME, "store", *arguments])


def flags(cluster: EtcdCluster) -> list[str]:
    return [
        f"--etcd-servers={','.join(cluster.endpoints)}",
        f"--etcd-cafile={cluster.authority.path}",
        f"--etcd-certfile={cluster.client_cert}",
        f"--etcd-keyfile={cluster.client_key}",
    ]


async def fill(store: Backend, writes: int = 300) -> None:
    for n in range(writes):
        await store.create(f"{ROOT}configmaps/default/c{n:03}", b'{"kind":"x"}' * 20)
    await store.update(f"{ROOT}configmaps/default/c000", b"new", 2)
    await store.delete(f"{ROOT}configmaps/default/c001", 3)
    await store.create(f"{ROOT}events/default/e", b"event", ttl_seconds=3600)


async def contents(store: Backend) -> dict[str, bytes]:
    return {kv.key: kv.value for kv in (await store.range(ROOT)).items}


async def with_sqlite(profile: Profile, work: Callable[[SqliteBackend], object]) -> None:
    store = await SqliteBackend.open(sqlite_of(profile).path, SystemClock())
    result = work(store)
    assert asyncio.iscoroutine(result)
    await result
    await store.close()


async def with_etcd(cluster: EtcdCluster, work: Callable[[EtcdBackend], object]) -> None:
    store = await EtcdBackend.open(cluster.endpoints, cluster.tls(), SystemClock())
    result = work(store)
    assert asyncio.iscoroutine(result)
    await result
    await store.close()


async def check_goes_on(store: Backend, told: int) -> None:
    """Nothing that was told before is told again with another meaning."""
    assert store.revision > told
    with pytest.raises(Compacted):
        await store.watch(ROOT, told, lambda events: None)
    with pytest.raises(Compacted):
        await store.range(ROOT, revision=told)
    kept = await store.get(f"{ROOT}configmaps/default/c002")
    assert kept is not None
    seen: list[Event] = []

    def deliver(events: Sequence[Event]) -> None:
        seen.extend(events)

    await store.watch(ROOT, store.revision + 1, deliver)
    revision = await store.update(kept.key, b"later", kept.revision)
    assert revision == store.revision
    assert seen == [Event(kept.key, b"later", revision)]
    with pytest.raises(RevisionMismatch) as mismatch:
        await store.update(kept.key, b"late", kept.revision)
    assert mismatch.value.actual == revision
    assert await store.get(kept.key, revision - 1) == kept
    past: list[Event] = []
    await store.watch(ROOT, revision, past.extend)
    assert past == seen
    await store.compact(revision)
    with pytest.raises(Compacted):
        await store.get(kept.key, revision - 1)


def test_a_running_store_is_saved_and_a_stopped_one_goes_back(
    profile: Profile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "backup"
    before: dict[str, bytes] = {}
    told = 0

    async def use(store: SqliteBackend) -> None:
        nonlocal told
        await fill(store)
        before.update(await contents(store))
        assert await asyncio.to_thread(tiphys, "backup", str(file)) == 0
        assert await asyncio.to_thread(tiphys, "restore", str(file)) == 116  # In use.
        await store.delete(f"{ROOT}configmaps/default/c000", 302)
        await fill_more(store)
        told = store.revision

    async def fill_more(store: SqliteBackend) -> None:
        for n in range(50):
            await store.create(f"{ROOT}configmaps/default/d{n}", b"x")

    async def check(store: SqliteBackend) -> None:
        assert await contents(store) == before
        await check_goes_on(store, told)

    asyncio.run(with_sqlite(profile, use))
    assert "in use by another process" in capsys.readouterr().err
    assert file.stat().st_mode & 0o777 == 0o600
    assert tiphys("restore", str(file)) == 0
    asyncio.run(with_sqlite(profile, check))
    assert tiphys("backup", str(tmp_path / "stopped")) == 0


def test_the_file_is_what_its_description_says(profile: Profile, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    asyncio.run(with_sqlite(profile, fill))
    assert tiphys("backup", str(file)) == 0
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert (lines[0]["format"], lines[0]["version"]) == ("tiphys-store", 1)
    assert lines[0]["keys"] == len(lines) - 2 == 300
    assert lines[0]["revision"] == 304
    assert set(lines[1]) == {"key", "revision", "value"}
    assert set(lines[-2]) == {"key", "revision", "value", "expires"}
    assert set(lines[-1]) == {"sha256"}


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign", "none"])
def test_a_damaged_file_is_refused_and_changes_nothing(
    damage: str, profile: Profile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "backup"
    asyncio.run(with_sqlite(profile, fill))
    assert tiphys("backup", str(file)) == 0
    whole = gzip.decompress(file.read_bytes())
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-200])
    elif damage == "changed":
        file.write_bytes(gzip.compress(whole.replace(b"configmaps/default/c100", b"pods/a", 1)))
    elif damage == "foreign":
        file.write_bytes(b"not ours")
    else:
        file.unlink()
    store = sqlite_of(profile).path.read_bytes()
    assert tiphys("restore", str(file)) == (17 if damage == "none" else 116)
    assert capsys.readouterr().err.startswith("Error: cannot restore the store: ")
    assert sqlite_of(profile).path.read_bytes() == store


def test_a_store_moves_to_etcd_and_back(profile: Profile, tmp_path: Path) -> None:
    before: dict[str, bytes] = {}
    told = 0

    async def use(store: SqliteBackend) -> None:
        nonlocal told
        await fill(store)
        before.update(await contents(store))
        told = store.revision

    async def check(store: Backend) -> None:
        nonlocal told
        assert await contents(store) == before
        await check_goes_on(store, told)
        before[f"{ROOT}configmaps/default/c002"] = b"later"
        told = store.revision

    asyncio.run(with_sqlite(profile, use))
    with etcd() as cluster:
        assert tiphys("migrate", "--to", "etcd", *flags(cluster)) == 0
        asyncio.run(with_etcd(cluster, check))
        file = tmp_path / "backup"
        assert tiphys("backup", str(file), *flags(cluster)) == 0
        assert tiphys("restore", str(file), *flags(cluster)) == 0
        before_restore = dict(before)
        asyncio.run(with_etcd(cluster, check))
        assert before == before_restore
        assert tiphys("migrate", "--to", "sqlite", *flags(cluster)) == 0
    asyncio.run(with_sqlite(profile, check))


def test_a_time_to_live_moves_too(profile: Profile) -> None:
    async def use(store: SqliteBackend) -> None:
        await store.create(f"{ROOT}events/default/long", b"1", ttl_seconds=3600)
        await store.create(f"{ROOT}events/default/short", b"1", ttl_seconds=4)

    async def check(store: EtcdBackend) -> None:
        async def has_ended() -> bool:
            return set(await contents(store)) == {f"{ROOT}events/default/long"}

        await until(has_ended)

    async def check_back(store: SqliteBackend) -> None:
        assert set(await contents(store)) == {f"{ROOT}events/default/long"}

    async def later() -> None:
        clock = FakeClock(datetime.now(UTC))
        store = await SqliteBackend.open(sqlite_of(profile).path, clock)
        clock.advance(3000)
        await store.expire()
        assert len(await contents(store)) == 1
        clock.advance(700)
        await store.expire()
        assert not await contents(store)
        await store.close()

    asyncio.run(with_sqlite(profile, use))
    with etcd() as cluster:
        assert tiphys("migrate", "--to", "etcd", *flags(cluster)) == 0
        asyncio.run(with_etcd(cluster, check))
        assert tiphys("migrate", "--to", "sqlite", *flags(cluster)) == 0
    asyncio.run(with_sqlite(profile, check_back))
    asyncio.run(later())


def test_etcd_in_use_is_not_overwritten(
    profile: Profile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def use(store: EtcdBackend) -> None:
        await fill(store, 3)
        await store.create(f"{ROOT}masterleases/10.0.0.9", b"{}", ttl_seconds=15)
        file = tmp_path / "backup"
        assert await asyncio.to_thread(tiphys, "backup", str(file), *flags(cluster)) == 0
        assert await asyncio.to_thread(tiphys, "restore", str(file), *flags(cluster)) == 116
        assert "API servers use the store (10.0.0.9)" in capsys.readouterr().err

    with etcd() as cluster:
        asyncio.run(with_etcd(cluster, use))


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["migrate", "--to", "etcd"], 115, "which etcd is not said"),
        (["backup", "x", "--etcd-cafile", "y"], 115, "belong together"),
        (["backup", "x"], 116, "there is no store at"),
        (["backup", "x", "--etcd-servers", "ftp://a"], 116, "is no etcd endpoint"),
        (["backup", "x", "--etcd-servers", "https://a"], 116, "https needs"),
    ],
)
def test_mistakes_are_told(
    arguments: list[str],
    code: int,
    text: str,
    profile: Profile,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tiphys(*arguments) == code
    assert text in capsys.readouterr().err
