"""One address for several API servers: connections go to those that are ready.

A server that stops being ready loses the connections through here too, so that clients come back
and find another one. TLS ends at the servers. Upstream's place for this is the load balancer that
kubeadm asks for in front of a highly available control plane.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tiphys.lib import tls
from tiphys.lib.http.client import HttpClient, HttpError
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.lib.tcp_relay import relay

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 0.5  # Between two questions to a server whether it is ready.
CHECK_SECONDS_MAX: Final = 1.0  # For its answer.
FAILURES_MAX: Final = 2  # Checks in a row until a server is left out.
DIAL_SECONDS_MAX: Final = 0.5
CONNECTIONS_MAX: Final = 4096  # More wait in the backlog of the listener.
BACKLOG: Final = 1024
_READY: Final = frozenset({200, 401})  # 401: it works, and lets in nobody without a name.
_ACCEPT_RETRY_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class ApiBalancerConfig:
    """Where to listen, and the servers behind, both as (host, port)."""

    listen: Sequence[tuple[str, int]]
    servers: Sequence[tuple[str, int]]
    ca_file: Path


@dataclass(slots=True, eq=False)
class Server:
    """One API server as seen from here."""

    address: tuple[str, int]
    failures: int = FAILURES_MAX  # Not ready until it was seen to be.
    connections: set[socket.socket] = field(default_factory=set)

    @property
    def is_ready(self) -> bool:
        return self.failures < FAILURES_MAX


def order(servers: Sequence[Server], turn: int) -> list[Server]:
    """Whom to try, one after the other: ready ones by turns, then the others. Pure."""
    ready = [s for s in servers if s.is_ready]
    start = turn % len(ready) if ready else 0
    return ready[start:] + ready[:start] + [s for s in servers if not s.is_ready]


async def run(config: ApiBalancerConfig) -> None:
    """Work until cancelled. Raises OSError when it cannot listen."""
    await ApiBalancer(config).run()


class ApiBalancer:
    def __init__(self, config: ApiBalancerConfig) -> None:
        self._config = config
        self.servers = [Server(address) for address in config.servers]
        self._turn = 0
        self._slots = asyncio.Semaphore(CONNECTIONS_MAX)
        self._tasks = TaskSet()

    async def run(self) -> None:
        context = tls.client_context(self._config.ca_file)
        listeners = [_listen(address) for address in self._config.listen]
        try:
            for server in self.servers:
                self._tasks.start(self._watch(server, context), f"check {server.address[0]}")
            async with asyncio.TaskGroup() as group:
                for listener in listeners:
                    accept = partial(self._accept, listener)
                    group.create_task(keep_running("accept", accept))
        finally:
            await self._tasks.close()
            for listener in listeners:
                listener.close()

    async def _watch(self, server: Server, context: ssl.SSLContext) -> None:
        client = HttpClient(f"https://{server.address[0]}:{server.address[1]}", tls=context)
        while True:
            try:
                async with asyncio.timeout(CHECK_SECONDS_MAX):
                    answer = await client.request("GET", "/readyz")
                self.note(server, ready=answer.status in _READY)
            except (HttpError, OSError, TimeoutError):
                self.note(server, ready=False)
            await asyncio.sleep(CHECK_SECONDS)

    def note(self, server: Server, *, ready: bool) -> None:
        """What a check or a connection attempt has shown."""
        was_ready = server.is_ready
        server.failures = 0 if ready else min(server.failures + 1, FAILURES_MAX)
        if server.is_ready == was_ready:
            return
        name = f"{server.address[0]}:{server.address[1]}"
        log.info("API server checked", extra={"server": name, "ready": ready})
        if not ready:
            for connection in list(server.connections):
                connection.shutdown(socket.SHUT_RDWR)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._slots.acquire()
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError as exc:  # No file descriptor left, or the client has gone already.
                self._slots.release()
                log.warning("connection not accepted", extra={"why": str(exc)})
                await asyncio.sleep(_ACCEPT_RETRY_SECONDS)
                continue
            except BaseException:
                self._slots.release()
                raise
            self._tasks.start(self._serve(client), "connection")

    async def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                client.setblocking(False)
                found = await self._dial()
                if found is not None:
                    await self._relay(client, *found)
        except OSError:
            pass  # One of the two has gone: so has the connection.
        finally:
            self._slots.release()

    async def _relay(self, client: socket.socket, server: Server, upstream: socket.socket) -> None:
        server.connections.add(upstream)
        try:
            with upstream:
                await relay(client, upstream)
        finally:
            server.connections.discard(upstream)

    async def _dial(self) -> tuple[Server, socket.socket] | None:
        """A connection to the first server that takes one."""
        loop = asyncio.get_running_loop()
        self._turn += 1
        for server in order(self.servers, self._turn):
            upstream = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                async with asyncio.timeout(DIAL_SECONDS_MAX):
                    await loop.sock_connect(upstream, server.address)
                return server, upstream
            except (OSError, TimeoutError):
                upstream.close()
                self.note(server, ready=False)
            except BaseException:
                upstream.close()
                raise
        return None


def _listen(address: tuple[str, int]) -> socket.socket:
    listener = socket.create_server(address, backlog=BACKLOG)
    listener.setblocking(False)
    return listener
