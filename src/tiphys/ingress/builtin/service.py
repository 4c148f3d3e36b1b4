"""The reverse proxy as a whole: listeners, certificates by name, the plan, and who is connected."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tiphys.ingress.builtin.client import HEAD_SECONDS_MAX, ClientConnection
from tiphys.ingress.builtin.heads import Origin, RequestHead
from tiphys.ingress.builtin.pool import Pool
from tiphys.ingress.builtin.tls import server_context
from tiphys.ingress.data_plane import DataPlaneError, Listening
from tiphys.ingress.router import BadPath, Router, normal_path, rewritten
from tiphys.ingress.table import Certificate, Endpoint, Location, Plan, certificate_of
from tiphys.lib.tasks import TaskSet

log = logging.getLogger(__name__)

CONNECTIONS_MAX: Final = 8192  # More are closed at once; nginx: worker_connections 16384.
BACKLOG: Final = 1024
SWEEP_SECONDS: Final = 0.5
GRACE_SECONDS: Final = 5.0  # For answers under way when it ends.


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request goes: its location, the target to ask for, whom to try in which order."""

    location: Location
    target: bytes
    endpoints: list[Endpoint]


class Service:
    """A `DataPlane`."""

    def __init__(self, listening: Listening) -> None:
        self.now = 0.0  # Coarse, moved by the sweep: cheap to read for every piece.
        self.is_stopping = False
        self.pool = Pool(lambda: self.now)
        self.tasks = TaskSet()
        self._listening = listening
        self._router = Router(Plan())
        self._contexts: Mapping[str, ssl.SSLContext] = {}
        self._by_certificate: Mapping[Certificate, ssl.SSLContext] = {}
        self._default = server_context(listening.certificate)
        self._default.sni_callback = self._choose
        self._turns: dict[str, int] = {}
        self._connections: set[ClientConnection] = set()
        self._listeners: list[asyncio.Server] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    # --- DataPlane

    async def start(self) -> None:
        """Raises DataPlaneError."""
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        where = self._listening
        ports: tuple[tuple[int, ssl.SSLContext | None], ...] = (
            (where.http_port, None),
            (where.https_port, self._default),
        )
        for port, tls in ports:
            seconds = HEAD_SECONDS_MAX if tls else None
            try:
                listener = await loop.create_server(
                    lambda tls=tls: ClientConnection(self, tls=tls is not None),
                    where.address,
                    port,
                    ssl=tls,
                    backlog=BACKLOG,
                    ssl_handshake_timeout=seconds,
                )
            except OSError as exc:
                for one in self._listeners:
                    one.close()
                self._listeners.clear()
                raise DataPlaneError(f"cannot listen on {where.address}:{port}: {exc}") from exc
            self._listeners.append(listener)
        self._look()

    async def apply(self, plan: Plan) -> None:
        """Raises DataPlaneError, before anything has changed."""
        contexts: dict[str, ssl.SSLContext] = {}
        by_certificate: dict[Certificate, ssl.SSLContext] = {}
        for name in plan.hosts:
            certificate = certificate_of(plan.hosts, name)
            if certificate is None:
                continue
            if certificate not in by_certificate:
                by_certificate[certificate] = self._context(name, certificate)
            contexts[name] = by_certificate[certificate]
        self._contexts, self._by_certificate = contexts, by_certificate
        self._router = Router(plan)
        locations = [item for host in plan.hosts.values() for item in host.locations]
        self._turns = {i.backend.name: self._turns.get(i.backend.name, 0) for i in locations}
        self.pool.keep_only(e for item in locations for e in item.backend.endpoints)

    async def ended(self) -> None:
        """It ends with this process only."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        self.is_stopping = True
        for listener in self._listeners:
            listener.close()
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._connections):
            connection.close_idle()
        try:
            await asyncio.wait_for(self._empty.wait(), GRACE_SECONDS)
        except TimeoutError:
            log.info("connections cut off", extra={"count": len(self._connections)})
        for connection in list(self._connections):
            connection.abort()
        await self.tasks.close()
        self.pool.close()

    # --- for connections

    def entry(self, *, tls: bool) -> tuple[bytes, bytes]:
        """Scheme and port by which clients come in."""
        where = self._listening
        return (b"https", b"%d" % where.https_port) if tls else (b"http", b"%d" % where.http_port)

    def add(self, connection: ClientConnection) -> bool:
        if len(self._connections) >= CONNECTIONS_MAX or self.is_stopping:
            return False
        self._connections.add(connection)
        self._empty.clear()
        return True

    def remove(self, connection: ClientConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def destination(
        self, head: RequestHead, origin: Origin
    ) -> Destination | tuple[int, str] | tuple[int, str, str]:
        """Where a request goes, or what it is answered here: status, text, location."""
        target = head.target.decode("latin-1")
        try:
            path = normal_path(target)
        except BadPath:
            return 400, "malformed path"
        router = self._router
        host = router.host_of(head.name)
        location = router.find(host, path) if host is not None else None
        if host is None or location is None:
            if path == "/healthz" and host is None:
                return 200, "ok"
            return 404, "default backend - 404"
        if origin.scheme == b"http" and router.redirects(host, location, path):
            return 308, "this host is served over TLS", self._secure(head, target)
        made = rewritten(location, path, target)
        return Destination(location, made.encode("latin-1"), self._order(location))

    def _secure(self, head: RequestHead, target: str) -> str:
        port = self._listening.https_port
        return f"https://{head.name}{'' if port == 443 else f':{port}'}{target}"

    def _order(self, location: Location) -> list[Endpoint]:
        """All endpoints, beginning with the one whose turn it is."""
        endpoints = location.backend.endpoints
        if len(endpoints) < 2:
            return list(endpoints)
        turn = self._turns.get(location.backend.name, 0)
        self._turns[location.backend.name] = turn + 1
        start = turn % len(endpoints)
        return [*endpoints[start:], *endpoints[:start]]

    # --- its own

    def _context(self, host: str, certificate: Certificate) -> ssl.SSLContext:
        """One of before, or a new one. Raises DataPlaneError."""
        try:
            return self._by_certificate.get(certificate) or server_context(certificate)
        except ssl.SSLError as exc:
            text = f'the certificate of host "{host}" is refused by OpenSSL: {exc}'
            raise DataPlaneError(text) from exc

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> None:
        """The certificate for the name that a client asks for."""
        host = self._router.host_of((name or "").lower())
        found = self._contexts.get(host) if host is not None else None
        if found is not None:
            connection.context = found

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        for connection in list(self._connections):
            connection.check(self.now)
        self.pool.sweep()
        self._sweep = loop.call_later(SWEEP_SECONDS, self._look)
