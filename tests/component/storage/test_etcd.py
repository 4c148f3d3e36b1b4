"""Three etcd members, one of them killed: no write lost or done twice, no event lost or doubled."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial

import pytest

from support.etcd import EtcdCluster, etcd
from support.relay import Relay
from support.waiting import until
from tiphys.lib.clock import SystemClock
from tiphys.storage.backend import Event, KeyExists, RangeResult, RevisionMismatch
from tiphys.storage.etcd.backend import EtcdBackend
from tiphys.storage.etcd.client import EtcdClient

WRITERS = 8
CUTS = 25
WRITES_BETWEEN_CUTS = 20
OUTAGE_SECONDS_MAX = 3.0
AFTER_SECONDS = 1.5  # How long writers go on after the member has come back into quorum.


async def leader_of(cluster: EtcdCluster) -> int:
    """The number of the leading member."""
    for number, url in enumerate(cluster.endpoints):
        client = EtcdClient([url], cluster.tls())
        try:
            answer = await client.call("Status", {})
        finally:
            client.close()
        if answer["leader"] == answer["header"]["member_id"]:
            return number
    raise AssertionError("no leader")


class Workload:
    """Writers that count up their own key and make new ones, and one watcher."""

    def __init__(self, backend: EtcdBackend, name: str) -> None:
        self.backend = backend
        self.name = name
        self.acknowledged: dict[str, int] = {}
        self.events: list[Event] = []
        self.done_at: list[float] = []
        self.stopping = False

    async def run(self) -> None:
        def deliver(events: Sequence[Event]) -> None:
            self.events += events

        await self.backend.watch("/w/", self.backend.revision + 1, deliver)
        await asyncio.gather(*(self._writer(n) for n in range(WRITERS)))

    async def _writer(self, number: int) -> None:
        counter = f"/w/{self.name}/{number}"
        at = await self.backend.create(counter, b"0")
        count = 0
        while not self.stopping:
            count += 1
            at = await self.backend.update(counter, b"%d" % count, at)
            key = f"{counter}/{count}"
            self.acknowledged[key] = await self.backend.create(key, b"%d" % count)
            self.done_at.append(time.monotonic())

    @property
    def longest_pause(self) -> float:
        pairs = zip(self.done_at, self.done_at[1:], strict=False)
        return max(b - a for a, b in pairs)


@pytest.mark.parametrize("way", ["kill", "freeze"])
@pytest.mark.parametrize("victim", ["leader", "in use"])
def test_a_member_dies_under_writes(victim: str, way: str) -> None:
    async def story() -> None:
        with etcd(3) as cluster:
            urls = cluster.endpoints
            backends = [
                await EtcdBackend.open(urls, cluster.tls(), SystemClock()),
                await EtcdBackend.open([urls[1], urls[2], urls[0]], cluster.tls(), SystemClock()),
            ]
            loads = [Workload(backend, f"s{n}") for n, backend in enumerate(backends)]
            runs = [asyncio.create_task(load.run()) for load in loads]
            await until(partial(have_written, loads, 50))
            number = await leader_of(cluster) if victim == "leader" else 0
            if way == "kill":
                cluster.kill(number)
            else:
                cluster.signal(number, signal.SIGSTOP)
            await served_again(loads)
            if way == "kill":
                cluster.start(number)
            else:
                cluster.signal(number, signal.SIGCONT)
            await served_again(loads)
            for load in loads:
                load.stopping = True
            await asyncio.gather(*runs)
            for backend in backends:
                await backend.current()
            check_nothing_lost(loads, await backends[0].range("/w/"))
            for load in loads:
                assert load.longest_pause < OUTAGE_SECONDS_MAX
            for backend in backends:
                await backend.close()

    asyncio.run(story())


def have_written(loads: list[Workload], count: int) -> bool:
    return all(len(load.done_at) > count for load in loads)


async def served_again(loads: list[Workload]) -> None:
    """Every server has written for a while since now."""
    since = time.monotonic() + AFTER_SECONDS
    await until(lambda: all(load.done_at[-1] > since for load in loads))


def check_nothing_lost(loads: list[Workload], found: RangeResult) -> None:
    items = {kv.key: kv for kv in found.items}
    for load in loads:
        for key, revision in load.acknowledged.items():
            assert items[key].revision == revision
    events = loads[0].events
    assert events == loads[1].events
    revisions = [e.revision for e in events]
    assert revisions == sorted(set(revisions))
    last = {e.key: e.revision for e in events}
    assert last == {key: kv.revision for key, kv in items.items()}
    # Each counter went up one by one: no update happened twice or not at all.
    for load in loads:
        for number in range(WRITERS):
            key = f"/w/{load.name}/{number}"
            values = [int(e.value or b"-1") for e in events if e.key == key]
            assert values == list(range(len(values)))
    assert max(Counter(e.key for e in events if e.key.count("/") == 4).values()) == 1


def test_connections_are_cut_again_and_again_under_writes() -> None:
    """Many outcomes are unknown: what was sent may have happened, and its answer was lost."""

    async def story() -> None:
        with etcd(1) as cluster:
            relays = [await Relay.to(int(cluster.endpoints[0].rpartition(":")[2])) for _ in "ab"]
            backends = [
                await EtcdBackend.open(
                    [f"https://127.0.0.1:{relay.port}"], cluster.tls(), SystemClock()
                )
                for relay in relays
            ]
            loads = [Workload(backend, f"s{n}") for n, backend in enumerate(backends)]
            runs = [asyncio.create_task(load.run()) for load in loads]
            for count in range(1, CUTS + 1):
                await until(partial(have_written, loads, count * WRITES_BETWEEN_CUTS))
                for relay in relays:
                    relay.cut()
            for load in loads:
                load.stopping = True
            await asyncio.gather(*runs)
            for backend in backends:
                await backend.current()
            check_nothing_lost(loads, await backends[0].range("/w/"))
            for backend, relay in zip(backends, relays, strict=True):
                await backend.close()
                await relay.close()

    asyncio.run(story())


def test_a_frozen_cluster_is_said_to_be_silent_and_serves_again() -> None:
    """Writers hear that the outcome is unknown; the store is whole when the members come back."""

    async def story() -> None:
        with etcd(1) as cluster:
            backend = await EtcdBackend.open(cluster.endpoints, cluster.tls(), SystemClock())
            made = await backend.create("/a", b"1")
            cluster.signal(0, signal.SIGSTOP)
            update = asyncio.create_task(backend.update("/a", b"2", made))
            create = asyncio.create_task(backend.create("/b", b"1"))
            await asyncio.sleep(2.5)
            cluster.signal(0, signal.SIGCONT)
            async with asyncio.timeout(20):
                revisions = {await update, await create}
            assert revisions == {made + 1, made + 2}
            assert [kv.value for kv in (await backend.range("/")).items] == [b"2", b"1"]
            with pytest.raises(KeyExists):
                await backend.create("/b", b"1")
            with pytest.raises(RevisionMismatch):
                await backend.update("/a", b"2", made)
            await backend.close()

    asyncio.run(story())
