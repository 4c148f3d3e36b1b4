"""New plans while clients ask: certificates and endpoints change, and nobody notices a failure."""

import asyncio
import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from support.ingress_lab import (
    AVAILABLE,
    HttpBackend,
    Lab,
    insecure,
    lab,
    location,
    number,
    plan,
    read_answer,
    run,
    serial,
)
from support.waiting import until
from tiphys.ingress.certificates import FAKE_NAME, fake_certificate
from tiphys.ingress.data_plane import DataPlaneError
from tiphys.ingress.table import Certificate, Host, Location, Match, Plan

pytestmark = pytest.mark.parametrize("plane", AVAILABLE)

CLIENTS = 8


def made() -> Certificate:
    return fake_certificate(datetime.now(UTC))


def test_the_certificate_for_each_name(plane: str) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        own, wild = made(), made()
        item = location(backend.port)
        hosts = {
            "a.test": Host((item,), own),
            "*.b.test": Host((item,), wild),
            "x.b.test": Host((item,)),
            "c.test": Host((item,)),
        }
        async with lab(plane) as one:
            await one.plane.apply(Plan(hosts))
            default = number(one.listening.certificate)
            assert await serial(one, "a.test") == number(own)
            assert await serial(one, "A.test") == number(own)
            assert await serial(one, "y.b.test") == number(wild)
            assert await serial(one, "x.b.test") == number(wild)
            assert await serial(one, "y.x.b.test") == default
            assert await serial(one, "c.test") == default
            assert await serial(one, "nobody.test") == default
            subject = x509.load_pem_x509_certificate(one.listening.certificate.chain).subject
            assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == FAKE_NAME

    run(story())


class Askers:
    """Clients that ask on and on; every failure is counted."""

    def __init__(self, one: Lab, tls: ssl.SSLContext | None) -> None:
        self.done = 0
        self.failures: list[str] = []
        self._one = one
        self._tls = tls
        self._going = True
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(CLIENTS)]

    async def _ask(self) -> None:
        while self._going:
            try:
                told = await self._one.get("/", tls=self._tls)
            except (OSError, asyncio.IncompleteReadError, ssl.SSLError) as exc:
                self.failures.append(repr(exc))
                continue
            if told.status != 200:
                self.failures.append(f"{told.status} {told.body!r}")
            self.done += 1

    async def more(self, count: int = 50) -> None:
        """Wait for so many more answers."""
        wanted = self.done + count
        await until(lambda: self.done >= wanted)

    async def stop(self) -> None:
        self._going = False
        await asyncio.gather(*self._tasks)


def test_a_certificate_changes_under_requests(plane: str) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        async with lab(plane) as one:
            item = location(backend.port)
            first = made()
            await one.plane.apply(plan({"a": first}, a=item))
            askers = Askers(one, insecure())
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", one.https_port, ssl=insecure(), server_hostname="a.test"
            )
            writer.write(b"GET /events HTTP/1.1\r\nHost: a.test\r\n\r\n")
            await reader.readuntil(b"data: 0\n\n")
            for _ in range(5):
                await askers.more()
                new = made()
                await one.plane.apply(plan({"a": new}, a=item))
                assert await serial(one, "a.test") == number(new)
            await askers.more()
            await askers.stop()
            assert askers.failures == []
            backend.go_on.set()  # A stream that began under the first certificate goes on.
            await reader.readuntil(b"data: 1\n\n")
            writer.transport.abort()

    run(story())


def test_endpoints_change_under_requests(plane: str) -> None:
    async def story() -> None:
        async with lab(plane) as one:
            old = [await HttpBackend.start("old") for _ in range(2)]
            await one.plane.apply(plan(a=location(*(b.port for b in old))))
            askers = Askers(one, None)
            for _ in range(4):
                await askers.more()
                new = [await HttpBackend.start("new") for _ in range(2)]
                await one.plane.apply(plan(a=location(*(b.port for b in new))))
                # As pods end: the plane is told first, what came before has its answer.
                await askers.more(3 * CLIENTS)
                for backend in old:
                    await backend.stop_listening()
                    await until(lambda b=backend: b.open == 0)  # type: ignore[misc]
                old = new
            await askers.more()
            await askers.stop()
            assert askers.failures == []
            assert all(b.asked > 10 for b in old)

    run(story())


def test_an_endpoint_dies_under_requests(plane: str) -> None:
    async def story() -> None:
        async with lab(plane) as one:
            backends = [await HttpBackend.start(str(n)) for n in range(2)]
            await one.plane.apply(plan(a=location(*(b.port for b in backends))))
            askers = Askers(one, None)
            await askers.more()
            await backends[0].stop()
            await askers.more(200)
            await askers.stop()
            assert askers.failures == []

    run(story())


def test_a_connection_with_a_request_under_way_outlives_many_plans(plane: str) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        async with lab(plane) as one:
            await one.plane.apply(plan(a=location(backend.port)))
            reader, writer = await asyncio.open_connection("127.0.0.1", one.http_port)
            writer.write(b"GET /stuck HTTP/1.1\r\nHost: a.test\r\n\r\n")
            await until(lambda: backend.asked == 1)
            for n in range(5):
                await one.plane.apply(plan(b=location(backend.port, path=f"/{n}")))
            backend.go_on.set()
            assert (await read_answer(reader)).json["target"] == "/stuck"
            writer.close()

    run(story())


def test_what_cannot_be_obeyed_leaves_what_is(plane: str) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        bad = Certificate(b"-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n", b"no")
        async with lab(plane) as one:
            await one.plane.apply(plan(a=location(backend.port)))
            with pytest.raises(DataPlaneError):
                await one.plane.apply(plan({"a": bad}, a=location(backend.port)))
            assert (await one.get("/")).status == 200
            await one.plane.apply(plan(b=location(backend.port)))
            assert (await one.get("/")).status == 404

    run(story())


@pytest.mark.parametrize(
    "path",
    [
        '/"; return 200 "injected',
        "/x { return 200 injected; } location /y",
        "/a\\",
        '/a\\"',
        "/$host",
        "/{}",
        "/;}",
        "/#",
        "/'",
    ],
)
def test_paths_stay_paths(plane: str, path: str) -> None:
    """What stands in a path never becomes a directive."""

    async def story() -> None:
        backend = await HttpBackend.start("b")
        base = location(backend.port)
        odd = Location(Match.PREFIX, path, base.backend, base.ingress)
        exact = Location(Match.EXACT, path + "e", base.backend, base.ingress)
        async with lab(plane) as one:
            await one.plane.apply(Plan({"a.test": Host((exact, odd))}))
            assert (await one.get("/")).status == 404
            assert (await one.get("/y")).status == 404
            escaped = "".join(c if c.isalnum() or c == "/" else f"%{ord(c):02x}" for c in path)
            assert (await one.get(escaped)).json["backend"] == "b"
            assert (await one.get(escaped + "e")).json["backend"] == "b"
            assert (await one.get(escaped + "/more")).json["backend"] == "b"
            assert (await one.get(escaped + "f")).status == 404

    run(story())
