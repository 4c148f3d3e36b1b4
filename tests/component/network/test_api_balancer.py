"""One address for several API servers: by turns, around those that are not ready."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from support.throwaway_pki import Authority
from tiphys.lib import tls
from tiphys.lib.http.client import HttpClient
from tiphys.network.api_balancer import ApiBalancer, ApiBalancerConfig, Server, order


class Upstream:
    """A TLS server that says its name, and whether it is ready."""

    def __init__(self, name: str, context: ssl.SSLContext) -> None:
        self.name = name
        self.is_ready = True
        self.status_unready = b"500 Internal Server Error"
        self.port = 0
        self._context = context
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Upstream":
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._context
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                ready = self.is_ready or not head.startswith(b"GET /readyz")
                status = b"200 OK" if ready else self.status_unready
                body = self.name.encode()
                writer.write(
                    b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


Story = Callable[[list[Upstream], ApiBalancer, HttpClient], Awaitable[None]]


def tell(tmp_path: Path, story: Story) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server", server=True)

    async def whole() -> None:
        async with AsyncExitStack() as stack:
            servers = []
            for name in ("a", "b", "c"):
                context = tls.server_context(cert, key, [])
                servers.append(await stack.enter_async_context(Upstream(name, context)))
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            addresses = [("127.0.0.1", s.port) for s in servers]
            config = ApiBalancerConfig([("127.0.0.1", port)], addresses, authority.path)
            balancer = ApiBalancer(config)
            running = asyncio.create_task(balancer.run())
            await until(lambda: all(s.is_ready for s in balancer.servers))
            client = HttpClient(f"https://127.0.0.1:{port}", tls=tls.client_context(authority.path))
            try:
                async with asyncio.timeout(20):
                    await story(servers, balancer, client)
            finally:
                running.cancel()
                await asyncio.wait([running])

    asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is asked tells nobody
            await asyncio.sleep(0.01)


async def names(client: HttpClient, count: int) -> list[bytes]:
    """Who answers so many requests at once, each over a connection of its own."""
    answers = await asyncio.gather(*(client.request("GET", "/") for _ in range(count)))
    return sorted(a.body for a in answers)


def test_connections_take_turns(tmp_path: Path) -> None:
    async def story(servers: list[Upstream], balancer: ApiBalancer, client: HttpClient) -> None:
        assert await names(client, 6) == [b"a", b"a", b"b", b"b", b"c", b"c"]

    tell(tmp_path, story)


def test_a_server_that_is_not_ready_loses_its_connections(tmp_path: Path) -> None:
    async def story(servers: list[Upstream], balancer: ApiBalancer, client: HttpClient) -> None:
        await names(client, 6)
        servers[1].is_ready = False
        await until(lambda: not balancer.servers[1].is_ready)
        await until(lambda: not balancer.servers[1].connections)
        assert set(await names(client, 4)) == {b"a", b"c"}
        servers[1].is_ready = True
        await until(lambda: balancer.servers[1].is_ready)
        assert set(await names(client, 9)) == {b"a", b"b", b"c"}

    tell(tmp_path, story)


def test_a_server_that_wants_a_name_is_ready(tmp_path: Path) -> None:
    async def story(servers: list[Upstream], balancer: ApiBalancer, client: HttpClient) -> None:
        servers[1].is_ready = False
        await until(lambda: not balancer.servers[1].is_ready)
        servers[1].status_unready = b"401 Unauthorized"
        await until(lambda: balancer.servers[1].is_ready)

    tell(tmp_path, story)


def test_a_dead_server_costs_no_request(tmp_path: Path) -> None:
    async def story(servers: list[Upstream], balancer: ApiBalancer, client: HttpClient) -> None:
        servers[0].stop()  # Before any check has noticed.
        assert set(await names(client, 6)) <= {b"a", b"b", b"c"}
        await until(lambda: not balancer.servers[0].is_ready)
        assert set(await names(client, 6)) <= {b"b", b"c"}

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("ready", "turn", "wanted"),
    [
        ("abc", 0, "abc"),
        ("abc", 4, "bca"),
        ("ac", 1, "cab"),
        ("", 5, "abc"),
    ],
)
def test_ready_servers_come_first_by_turns(ready: str, turn: int, wanted: str) -> None:
    servers = [Server((name, 1), failures=0 if name in ready else 2) for name in "abc"]
    assert [s.address[0] for s in order(servers, turn)] == list(wanted)
