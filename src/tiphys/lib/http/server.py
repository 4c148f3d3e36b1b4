"""An HTTP server over TLS on its own protocols: fast for small answers, bounded everywhere.

    def handle(request: Request) -> Answer | Awaitable[Answer]:
        if request.raw_path == "/healthz":
            return text_response(200, "ok")        # the fast path: no task, no coroutine
        if request.wants_upgrade:
            return UpgradeResponse(talk, (("Upgrade", "SPDY/3.1"), ("Connection", "Upgrade")))
        return slow(request)                        # async def slow(request) -> Answer

    async def talk(stream: RawStream) -> None:      # owns the bytes after the 101
        while data := await stream.read():
            stream.write(data)
            await stream.drain()

    async def follow(body: BodyWriter) -> None:     # StreamResponse(200, follow, headers)
        body.write(b"line")
        await body.drain()

    server = HttpServer(handle, tls=tls.server_context(...), limits=Limits())
    port = await server.listen("127.0.0.1", 0)
    ...
    await server.stop(grace_seconds=5)

The handler sees the client's certificate (`request.peer_certificate`, DER) and keeps what it
learnt from it in `request.connection.notes`. Runs on uvloop, and on asyncio's own loop. HTTP/1.1
is spoken, and HTTP/2 where the TLS context offers it (lib.tls.offer_http2) and the client takes it.
Sources: RFC 9110, RFC 9112, RFC 9113.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tiphys.lib.http.connection import Connection
from tiphys.lib.http.message import Answer, Handler, Request, Response, text_response
from tiphys.lib.tasks import TaskSet

if TYPE_CHECKING:
    from tiphys.lib.http.http2 import Http2Connection

log = logging.getLogger(__name__)

Served: TypeAlias = "Connection | Http2Connection"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one server. Sources: upstream server/config.go, secure_serving.go, net/http."""

    body_bytes_max: int = 3 * 1024 * 1024  # MaxRequestBodyBytes
    head_bytes_max: int = 1024 * 1024  # http.DefaultMaxHeaderBytes
    connections_max: int = 8192
    streams_max: int = 250  # --http2-max-streams-per-connection; x/net/http2 defaultMaxStreams
    idle_seconds_max: float = 90.0  # IdleTimeout
    handshake_seconds_max: float = 32.0  # ReadHeaderTimeout also covers the handshake
    backlog: int = 1024
    sweep_seconds: float = 5.0


class HttpServer:
    """Listens on any number of addresses; see the module for its use."""

    def __init__(
        self,
        handler: Handler,
        *,
        tls: ssl.SSLContext | None,
        limits: Limits | None = None,
        error_response: Callable[[int, str], Response] = text_response,
    ) -> None:
        """error_response makes the answers that the server itself gives (400, 413, 431, 500)."""
        self.handler = handler
        self.limits = limits or Limits()
        self.error_response = error_response
        self.tasks = TaskSet()
        self.now = time.monotonic()  # Coarse, moved by the sweep: cheap to read per request.
        self.stopping = asyncio.Event()
        self.is_stopping = False
        self._tls = tls
        self._connections: set[Served] = set()
        self._listeners: list[asyncio.Server] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    async def listen(self, host: str, port: int) -> int:
        """Accept connections on an address; port 0 picks one. Returns the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: Connection(self),
            host,
            port,
            ssl=self._tls,
            backlog=self.limits.backlog,
            ssl_handshake_timeout=self.limits.handshake_seconds_max if self._tls else None,
        )
        self._listeners.append(listener)
        if self._sweep is None:
            self._sweep = loop.call_later(self.limits.sweep_seconds, self._close_idle)
        return int(listener.sockets[0].getsockname()[1])

    async def stop(self, grace_seconds: float = 0.0) -> None:
        """Stop accepting, let answers end (streams are told), then cut off what is left."""
        self.is_stopping = True
        self.stopping.set()
        for listener in self._listeners:
            listener.close()
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._connections):
            connection.close_idle()
        if grace_seconds > 0 and self._connections:
            try:
                await asyncio.wait_for(self._empty.wait(), grace_seconds)
            except TimeoutError:
                log.info("connections cut off", extra={"count": len(self._connections)})
        for connection in list(self._connections):
            connection.abort()
        await self.tasks.close()

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    async def result(self, request: Request, work: Awaitable[Answer]) -> Answer:
        """A handler's answer, whatever becomes of it."""
        try:
            return await work
        except Exception as error:  # noqa: BLE001 - a handler's bug must not end the server
            return self.failed(request, error)

    def failed(self, request: Request, error: Exception) -> Response:
        log.error("handler failed", extra={"path": request.raw_path}, exc_info=error)
        return self.error_response(500, "internal error")

    def add(self, connection: Served) -> bool:
        """Called by a new connection; False when there are too many."""
        if len(self._connections) >= self.limits.connections_max or self.is_stopping:
            return False
        self._connections.add(connection)
        self._empty.clear()
        return True

    def remove(self, connection: Served) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _close_idle(self) -> None:
        self.now = time.monotonic()
        oldest = self.now - self.limits.idle_seconds_max
        for connection in [c for c in self._connections if c.is_idle and c.idle_since < oldest]:
            connection.close_idle()
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(self.limits.sweep_seconds, self._close_idle)
