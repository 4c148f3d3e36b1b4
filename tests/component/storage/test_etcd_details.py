"""What only etcd has: leases that keys share, compaction by turns, failures that are told."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.etcd import EtcdCluster, etcd
from support.relay import Relay
from support.throwaway_pki import Authority, pem_of
from tiphys.apiserver.config import ApiServerConfig
from tiphys.apiserver.open_store import open_store
from tiphys.lib.clock import FakeClock, SystemClock
from tiphys.storage.backend import Compacted, StorageError
from tiphys.storage.etcd import client as client_module
from tiphys.storage.etcd.backend import EtcdBackend
from tiphys.storage.etcd.client import EtcdClient, tls_context
from tiphys.storage.etcd.compaction import Compactor
from tiphys.storage.etcd.errors import EtcdError
from tiphys.storage.etcd.leases import KEYS_PER_LEASE_MAX, Leases

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_keys_that_end_at_about_the_same_time_share_a_lease() -> None:
    async def story(cluster: EtcdCluster) -> None:
        clock = FakeClock(NOW)
        client = EtcdClient(cluster.endpoints, cluster.tls())
        leases = Leases(client, clock)
        assert await leases.lease_for(0) == 0
        first = await leases.lease_for(3600)
        clock.advance(59)
        assert await leases.lease_for(3600) == first
        clock.advance(2)  # Upstream's window is a minute: it would end too early.
        second = await leases.lease_for(3600)
        assert second != first
        assert await leases.lease_for(15) not in {first, second}
        third = await leases.lease_for(3600)
        for _ in range(KEYS_PER_LEASE_MAX - 1):
            assert await leases.lease_for(3600) == third
        assert await leases.lease_for(3600) != third
        client.close()

    with etcd() as cluster:
        asyncio.run(story(cluster))


def test_a_lease_that_is_gone_is_replaced() -> None:
    async def story(cluster: EtcdCluster) -> None:
        backend = await EtcdBackend.open(cluster.endpoints, cluster.tls(), SystemClock())
        client = EtcdClient(cluster.endpoints, cluster.tls())
        await backend.create("/a", b"1", ttl_seconds=3600)
        kv = (await client.call("Range", {"key": b"/a"}))["kvs"][0]
        await client.call("LeaseRevoke", {"ID": kv["lease"]})
        await backend.create("/b", b"1", ttl_seconds=3600)
        kv = (await client.call("Range", {"key": b"/b"}))["kvs"][0]
        assert kv["lease"]
        assert await backend.get("/a") is None
        client.close()
        await backend.close()

    with etcd() as cluster:
        asyncio.run(story(cluster))


def test_of_several_servers_one_compacts_what_is_an_interval_old() -> None:
    async def story(cluster: EtcdCluster) -> None:
        clock = FakeClock(NOW)
        backend = await EtcdBackend.open(cluster.endpoints, cluster.tls(), clock)
        client = EtcdClient(cluster.endpoints, cluster.tls())
        servers = [Compactor(client, clock), Compactor(client, clock)]
        made = await backend.create("/a", b"1")
        changed = await backend.update("/a", b"2", made)
        assert [await server.turn() for server in servers] == [False, False]
        await backend.update("/a", b"3", changed)
        assert [await server.turn() for server in servers] == [True, False]
        found = await backend.get("/a", changed + 1)  # The claim itself was one more write.
        assert found is not None
        assert found.value == b"2"
        with pytest.raises(Compacted):
            await backend.get("/a", made)
        # Whoever did it, each server knows: a watch from before is refused.
        await backend.current()
        with pytest.raises(Compacted):
            await backend.watch("/", made, lambda events: None)
        client.close()
        await backend.close()

    with etcd() as cluster:
        asyncio.run(story(cluster))


def test_what_etcd_refuses_is_told_and_not_asked_again() -> None:
    async def story(cluster: EtcdCluster) -> None:
        backend = await EtcdBackend.open(cluster.endpoints, cluster.tls(), SystemClock())
        with pytest.raises(EtcdError, match="request is too large"):
            await backend.create("/a", b"x" * 2_000_000)
        await backend.create("/a", b"x" * 1_500_000)
        await backend.close()

    with etcd() as cluster:
        asyncio.run(story(cluster))


def test_a_store_that_nobody_serves_is_said_to_be_silent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tiphys.storage.etcd.backend.OPEN_SECONDS_MAX", 0.5)

    async def story(cluster: EtcdCluster) -> None:
        with pytest.raises(StorageError, match=r"https://127.0.0.1:1: .*cannot connect"):
            await EtcdBackend.open(["https://127.0.0.1:1"], cluster.tls(), SystemClock())
        # A certificate of an authority that etcd does not know.
        stranger = Authority(tmp_path, "stranger")
        cert, key = stranger.issue("client")
        tls = tls_context(str(cluster.authority.path), str(cert), str(key))
        with pytest.raises(StorageError, match="etcd at"):
            await EtcdBackend.open(cluster.endpoints, tls, SystemClock())
        # An etcd of an authority that we do not know.
        tls = tls_context(str(stranger.path), str(cert), str(key))
        with pytest.raises(StorageError, match="cannot connect"):
            await EtcdBackend.open(cluster.endpoints, tls, SystemClock())

    with etcd() as cluster:
        asyncio.run(story(cluster))


def test_a_write_that_nobody_answers_says_that_it_may_have_happened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tiphys.storage.etcd.backend.CALL_SECONDS_MAX", 2.0)

    async def story(cluster: EtcdCluster) -> None:
        backend = await EtcdBackend.open(cluster.endpoints, cluster.tls(), SystemClock())
        await backend.create("/a", b"1")
        cluster.kill(0)
        with pytest.raises(StorageError, match="no etcd member answered a write of /b"):
            await backend.create("/b", b"1")
        cluster.start(0)
        assert await backend.create("/c", b"1") > 2
        await backend.close()

    with etcd() as cluster:
        asyncio.run(story(cluster))


def test_history_that_was_lost_ends_the_process_memory() -> None:
    """Events compacted while no member could be reached: the store must be loaded anew."""

    async def story(cluster: EtcdCluster) -> None:
        relay = await Relay.to(int(cluster.endpoints[0].rpartition(":")[2]))
        via = [f"https://127.0.0.1:{relay.port}"]
        backend = await EtcdBackend.open(via, cluster.tls(), SystemClock())
        made = await backend.create("/a", b"1")
        relay.cut(refuse=True)
        other = EtcdClient(cluster.endpoints, cluster.tls())
        for value in (b"2", b"3"):
            put = {"request_put": {"key": b"/a", "value": value}}
            await other.call("Txn", {"success": [put]})
        await other.call("Compact", {"revision": made + 2})
        relay.heal()
        async with asyncio.timeout(10):
            await backend.failed.wait()
        with pytest.raises(StorageError, match="the store has failed"):
            await backend.create("/b", b"1")
        other.close()
        await backend.close()
        await relay.close()

    with etcd() as cluster:
        asyncio.run(story(cluster))


@pytest.mark.parametrize(
    ("endpoints", "with_tls", "text"),
    [
        ([], True, "no etcd endpoint is given"),
        (["127.0.0.1:2379"], True, "is no etcd endpoint"),
        (["https://a:x"], True, "is no etcd endpoint"),
        (["http://a"], True, "http has none"),
        (["https://a"], False, "https needs"),
    ],
)
def test_endpoints_that_cannot_be_used(
    endpoints: list[str], with_tls: bool, text: str, tmp_path: Path
) -> None:
    cert, key = Authority(tmp_path).issue("c")
    tls = tls_context(str(tmp_path / "ca.crt"), str(cert), str(key)) if with_tls else None
    with pytest.raises(StorageError, match=text):
        EtcdClient(endpoints, tls)
    with pytest.raises(StorageError, match="cannot use the files for etcd"):
        tls_context(str(tmp_path / "none"), str(cert), str(key))


def test_the_api_server_opens_the_store_it_is_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server", server=True)
    signing = tmp_path / "sa.key"
    signing.write_bytes(pem_of(authority.key))

    def config(**etcd_files: object) -> ApiServerConfig:
        path = tmp_path / "store" / "db"
        return ApiServerConfig([], path, cert, key, authority.path, signing, **etcd_files)  # type: ignore[arg-type]

    async def story(cluster: EtcdCluster) -> None:
        own = await open_store(config(), SystemClock())
        assert not own.is_shared
        await own.close()
        shared = await open_store(
            config(
                etcd_endpoints=tuple(cluster.endpoints),
                etcd_ca=cluster.authority.path,
                etcd_cert=cluster.client_cert,
                etcd_key=cluster.client_key,
            ),
            SystemClock(),
        )
        assert shared.is_shared
        assert await shared.create("/a", b"1") == 2
        await shared.close()
        with pytest.raises(StorageError, match="https needs"):
            await open_store(config(etcd_endpoints=tuple(cluster.endpoints)), SystemClock())

    with etcd() as cluster:
        asyncio.run(story(cluster))


def test_members_are_tried_in_turn_and_the_silent_ones_last() -> None:
    async def story() -> None:
        client = EtcdClient([f"http://127.0.0.1:{port}" for port in (1, 2, 3)], None)
        tried = []
        for _ in range(5):
            with pytest.raises(StorageError, match="cannot connect") as error:
                await client.connect()
            tried.append(str(error.value).partition("127.0.0.1:")[2][:1])
        assert tried == ["1", "2", "3", "1", "2"]
        client.close()

    asyncio.run(story())
    assert client_module.AVOID_SECONDS < client_module.CALL_SECONDS_MAX
