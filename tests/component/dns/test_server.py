"""The DNS server over real sockets: forwarding, cache, health of upstreams, TCP, truncation."""

import asyncio
import random
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from support.dns_upstream import Upstream, a_query, addresses, ask, free_port
from support.dns_zone import a_zone
from support.waiting import until
from tiphys.api.meta import Obj, ObjectKey
from tiphys.dns import forward
from tiphys.dns import settings as dns_settings
from tiphys.dns.forward import Forwarder
from tiphys.dns.metrics import DnsMetrics
from tiphys.dns.packet import SERVFAIL, A, is_truncated
from tiphys.dns.server import TCP_CONNECTIONS_MAX, DnsServer
from tiphys.dns.service_records import service_records
from tiphys.dns.settings import Settings
from tiphys.dns.zone import Zone

SERVICES: list[Obj] = [
    {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80}]},
    },
    {
        "metadata": {"name": "far", "namespace": "default"},
        "spec": {"type": "ExternalName", "externalName": "example.com"},
    },
]


class Lab:
    def __init__(self, port: int, forwarder: Forwarder, metrics: DnsMetrics, zone: Zone) -> None:
        self.port = port
        self.forwarder = forwarder
        self.metrics = metrics
        self.zone = zone

    def down(self) -> float:
        (family,) = [f for f in self.metrics.families() if f.name == "tiphys_dns_upstreams_down"]
        return family.samples[0].value


@asynccontextmanager
async def lab(*upstreams: Upstream, **stubs: Upstream) -> AsyncIterator[Lab]:
    metrics, zone = DnsMetrics(), a_zone(SERVICES)
    forwarder = Forwarder(lambda: (), random.Random(1), metrics)
    for one in (*upstreams, *stubs.values()):
        await one.start()
    named = {domain: (_server(one),) for domain, one in stubs.items()}
    forwarder.use(Settings(named, tuple([_server(one) for one in upstreams])))
    server = DnsServer(zone, forwarder, metrics)
    port = await server.listen("127.0.0.1", free_port())
    try:
        yield Lab(port, forwarder, metrics, zone)
    finally:
        await server.close()
        await forwarder.close()
        for one in (*upstreams, *stubs.values()):
            one.stop()


def _server(upstream: Upstream) -> dns_settings.Upstream:
    return dns_settings.Upstream("127.0.0.1", upstream.port)


def tell(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await story()

    asyncio.run(bounded())


def test_our_names_are_answered_and_a_change_at_once() -> None:
    async def story() -> None:
        async with lab() as found:
            name = "web.default.svc.cluster.local"
            for _ in range(2):
                assert addresses(await ask(found.port, name)) == ["10.96.0.7"]
            moved = {**SERVICES[0], "spec": {"clusterIP": "10.96.0.8"}}
            key = ObjectKey("default", "web")
            found.zone.put(key, service_records("cluster.local", moved, []))
            assert addresses(await ask(found.port, name)) == ["10.96.0.8"]

    tell(story)


def test_the_addresses_of_one_name_take_turns() -> None:
    service = {"metadata": {"name": "db", "namespace": "default"}, "spec": {"clusterIP": "None"}}
    one = {"endpoints": [{"addresses": [f"10.244.0.{n}"]} for n in (1, 2, 3)]}

    async def story() -> None:
        async with lab() as found:
            records = service_records("cluster.local", service, [one])
            found.zone.put(ObjectKey("default", "db"), records)
            firsts = [
                addresses(await ask(found.port, "db.default.svc.cluster.local"))[0]
                for _ in range(12)
            ]
            assert {firsts.count(f"10.244.0.{n}") for n in (1, 2, 3)} <= {3, 4, 5}

    tell(story)


def test_foreign_names_are_asked_once_and_kept() -> None:
    async def story() -> None:
        upstream = Upstream("192.0.2.1")
        async with lab(upstream) as found:
            for _ in range(3):
                assert addresses(await ask(found.port, "example.com")) == ["192.0.2.1"]
            assert upstream.asked == ["example.com"]

    tell(story)


def test_stub_domains_are_asked_of_their_own_servers() -> None:
    async def story() -> None:
        usual, corp = Upstream("192.0.2.1"), Upstream("192.0.2.2")
        async with lab(usual, corp=corp) as found:
            assert addresses(await ask(found.port, "a.corp")) == ["192.0.2.2"]
            assert addresses(await ask(found.port, "acorp")) == ["192.0.2.1"]
            found.forwarder.use(Settings({}, (_server(usual),)))
            assert addresses(await ask(found.port, "a.corp")) == ["192.0.2.1"], "from now on"

    tell(story)


def test_an_external_name_has_the_addresses_of_its_target() -> None:
    async def story() -> None:
        upstream = Upstream("192.0.2.1")
        async with lab(upstream) as found:
            answer = await ask(found.port, "far.default.svc.cluster.local")
            assert addresses(answer) == ["192.0.2.1"]
            upstream.is_cut = True
            found.forwarder.use(Settings({}, (_server(upstream),)))
            answer = await ask(found.port, "far.default.svc.cluster.local")
            assert addresses(answer) == ["192.0.2.1"], "asked again over TCP"

    tell(story)


def test_a_cut_answer_is_passed_on_and_not_kept() -> None:
    async def story() -> None:
        upstream = Upstream("192.0.2.1")
        upstream.is_cut = True
        async with lab(upstream) as found:
            for _ in range(2):
                assert is_truncated(await ask(found.port, "example.com"))
            assert len(upstream.asked) == 2

    tell(story)


def test_a_server_that_fails_is_left_alone_until_it_answers() -> None:
    async def story() -> None:
        first, second = Upstream("192.0.2.1"), Upstream("192.0.2.2")
        async with lab(first, second) as found:
            first.stop()
            for number in range(forward.FAILURES_MAX):
                assert addresses(await ask(found.port, f"{number}.com")) == ["192.0.2.2"]
            await until(lambda: found.down() == 1)
            await first.start()
            await until(lambda: found.down() == 0)
            assert addresses(await ask(found.port, "later.com")) == ["192.0.2.1"]

    tell(story)


def test_without_any_server_the_failure_is_told() -> None:
    async def story() -> None:
        async with lab() as found:
            answer = await ask(found.port, "example.com")
            assert answer[3] & 0xF == SERVFAIL

    tell(story)


def test_queries_of_one_connection_do_not_wait_for_each_other() -> None:
    """The first is forwarded to a server that says nothing; ours is answered before."""

    async def story() -> None:
        silent = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        listener = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        async with lab() as found:
            port = listener.sockets[0].getsockname()[1]
            found.forwarder.use(Settings({}, (dns_settings.Upstream("127.0.0.1", port),)))
            reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
            names = ["slow.com", *["web.default.svc.cluster.local"] * 3]
            for ident, name in enumerate(names):
                query = a_query(name, A, ident)
                writer.write(struct.pack(">H", len(query)) + query)
            told = []
            for _ in names:
                (length,) = struct.unpack(">H", await reader.readexactly(2))
                told.append(struct.unpack_from(">H", await reader.readexactly(length))[0])
            assert told == [1, 2, 3, 0]
            writer.close()
        silent[0].close()
        listener.close()

    tell(story)


def test_who_writes_no_more_still_gets_every_answer() -> None:
    async def story() -> None:
        async with lab(Upstream("192.0.2.1")) as found:
            reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
            query = a_query("example.com")
            writer.write(struct.pack(">H", len(query)) + query)
            writer.write_eof()
            (length,) = struct.unpack(">H", await reader.readexactly(2))
            assert addresses(await reader.readexactly(length)) == ["192.0.2.1"]
            assert await reader.read() == b""
            writer.close()

    tell(story)


def test_connections_are_bounded() -> None:
    async def story() -> None:
        async with lab() as found:
            opened = [
                await asyncio.open_connection("127.0.0.1", found.port)
                for _ in range(TCP_CONNECTIONS_MAX + 1)
            ]
            query = a_query("web.default.svc.cluster.local")
            reader, writer = opened[0]
            writer.write(struct.pack(">H", len(query)) + query)
            assert len(await reader.readexactly(2)) == 2
            assert await opened[-1][0].read() == b"", "one too many"
            for _, writer in opened:
                writer.close()

    tell(story)
