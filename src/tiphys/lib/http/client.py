"""An HTTP client over TLS or TCP: pooled connections, whole answers and endless streams.

Small on purpose: components are forked from one process and every imported module costs memory in
each (docs/adr/0003). Bodies are bytes; redirects are never followed; certificates always verified.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

import httptools

from tiphys.lib.http.client_stream import (
    BODY_BYTES_MAX,
    CONNECT_SECONDS_MAX,
    IDLE_SECONDS_MAX,
    Answer,
    HttpError,
    Pending,
    Stream,
)

if TYPE_CHECKING:
    from tiphys.lib.http.http2_client import Sessions

__all__ = ["Answer", "HttpClient", "HttpError", "Stream"]

POOL_MAX: Final = 32  # Idle connections kept per client; client-go keeps 25 per host.
STREAM_BUFFER_BYTES_MAX: Final = 1 << 20  # Unread bytes of a stream before reading pauses.


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self.idle_since = 0.0  # The loop's time.
        self.served = 0  # Requests answered before: a failure on a fresh connection is final.
        self._parser = httptools.HttpResponseParser(self)
        self._pending: Pending | None = None
        self._headers: dict[str, str] = {}
        self._paused = False
        self._method = b""

    # asyncio.Protocol
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods, not the base class.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._fail(HttpError(f"the answer is not HTTP: {exc}"))
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        pending = self._pending
        framed = self._headers.keys() & {"content-length", "transfer-encoding"}
        if exc is None and pending is not None and pending.head.done() and not framed:
            # A body without a length ends with the connection (RFC 9112 section 6.3).
            self._pending = None
            pending.complete = True
            pending.changed.set()
            return
        self._fail(HttpError(f"the connection was closed{f': {exc}' if exc else ''}"))

    # httptools callbacks
    def on_message_begin(self) -> None:
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        pending = self._pending
        status = self._parser.get_status_code()
        if pending is None or status == 100:
            return
        if not pending.head.done():
            pending.head.set_result(Answer(status, self._headers))

    def on_body(self, data: bytes) -> None:
        pending = self._pending
        if pending is None:
            return
        pending.chunks.append(data)
        pending.size += len(data)
        pending.changed.set()
        if pending.streaming:
            if pending.size > STREAM_BUFFER_BYTES_MAX and self.transport and not self._paused:
                self.transport.pause_reading()
                self._paused = True
        elif pending.size > BODY_BYTES_MAX:
            self._fail(HttpError(f"the answer is larger than {BODY_BYTES_MAX} bytes"))
            self.abort()

    def on_message_complete(self) -> None:
        pending = self._pending
        if pending is None or self._parser.get_status_code() == 100:
            return
        self._pending = None
        self.served += 1
        if not self._parser.should_keep_alive():
            self.closed = True
        pending.complete = True
        pending.changed.set()

    # used by HttpClient
    @property
    def takes_more(self) -> bool:
        """A connection that is closing loses what is written to it without a word."""
        return not self.closed and self.transport is not None and not self.transport.is_closing()

    def send(self, head: bytes, body: bytes, *, streaming: bool) -> Pending:
        assert self.transport is not None
        pending = Pending(asyncio.get_running_loop().create_future(), streaming)
        self._pending = pending
        self.transport.write(head + body)
        return pending

    def resume(self, pending: Pending) -> None:
        if self._paused and self.transport and pending.size <= STREAM_BUFFER_BYTES_MAX // 2:
            self._paused = False
            self.transport.resume_reading()

    def close(self) -> None:
        """Say goodbye: nothing is under way."""
        self.closed = True
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        self.closed = True
        if self.transport is not None:
            self.transport.abort()

    def _fail(self, error: HttpError) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        pending.error = error
        pending.changed.set()
        if not pending.head.done():
            pending.head.set_exception(error)
            pending.head.exception()  # Whoever waits sees it; nobody waiting is no news.


class HttpClient:
    """Requests to one server. `base_url` is `https://host:port`."""

    def __init__(
        self,
        base_url: str,
        *,
        tls: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        server_hostname: str | None = None,
        renewed: Callable[[], bool] = lambda: False,
        sessions: "Sessions | None" = None,
        owns_sessions: bool = True,
    ) -> None:
        """renewed: asked before each request whether connections of before must not be used.

        sessions: speak HTTP/2 over these where the server does; owns_sessions: they end with us.
        """
        self._renewed = renewed
        self._sessions = sessions
        self._owns_sessions = owns_sessions
        self._spare: Sessions | None = None  # The server spoke HTTP/1.1 only.
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http(s) URL: {base_url!r}")
        self.host = parts.hostname
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.base_path = parts.path.rstrip("/")
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._server_hostname = server_hostname or (self.host if self._tls else None)
        self.headers = dict(headers or {})
        self._idle: list[_Connection] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._host_header = f"[{self.host}]" if ":" in self.host else self.host
        self._host_header += f":{self.port}"

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_seconds: float = 60.0,
    ) -> Answer:
        """The whole answer. Raises HttpError (no answer) or TimeoutError."""
        stream: Stream | None = None
        try:
            async with asyncio.timeout(timeout_seconds):
                stream = await self.stream(method, target, headers=headers, body=body, whole=True)
                chunks = [chunk async for chunk in stream.chunks()]
        except TimeoutError:
            self._drop(stream)
            raise TimeoutError(
                f"{method} {self.host}:{self.port}{target}: no answer in {timeout_seconds:g} s"
            ) from None
        except BaseException:
            self._drop(stream)
            raise
        self._release(stream)
        return Answer(stream.status, stream.headers, b"".join(chunks))

    def _drop(self, stream: Stream | None) -> None:
        if stream is not None:
            stream.close()

    async def stream(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        whole: bool = False,
    ) -> Stream:
        """The answer's head; the caller reads the body and closes. Raises HttpError."""
        if self._sessions is not None:
            from tiphys.lib.http.http2_client import NotMultiplexed

            try:
                return await self._multiplexed(self._sessions, method, target, headers, body, whole)
            except NotMultiplexed:
                self._spare, self._sessions = self._sessions, None
        head = self._head(method, target, headers, body)
        while True:
            connection = await self._connection(method, target)
            fresh = connection.served == 0
            pending = connection.send(head, body, streaming=not whole)
            try:
                answer = await asyncio.shield(pending.head)
            except HttpError as exc:
                # A kept connection that the server had closed: nothing was processed if it is a
                # read; a write is never sent twice.
                if not fresh and method in ("GET", "HEAD"):
                    continue
                raise HttpError(f"{method} {self.host}:{self.port}{target}: {exc}") from exc
            except BaseException:
                connection.abort()
                raise
            return Stream(answer, connection, pending)

    async def _multiplexed(
        self,
        sessions: "Sessions",
        method: str,
        target: str,
        headers: Mapping[str, str] | None,
        body: bytes,
        whole: bool,
    ) -> Stream:
        from tiphys.lib.http.http2_client import Asked

        if self._renewed():
            sessions.renew()
        target = self._checked(target)
        sent = {**self.headers, **(headers or {})}
        if body or method in ("POST", "PUT", "PATCH"):
            sent["Content-Length"] = str(len(body))
        asked = Asked(method, target, self._host_header, sent, body)
        return await sessions.stream(asked, whole=whole)

    def set_host(self, host: str) -> None:
        """Send this Host header in place of the address. Raises ValueError."""
        if not host.isascii() or any(c <= " " for c in host):
            raise ValueError(f"not a host: {host!r}")
        self._host_header = host

    def close(self) -> None:
        sessions = self._sessions or self._spare
        if sessions is not None and self._owns_sessions:
            sessions.close()
        self._drop_idle()

    def _drop_idle(self) -> None:
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    async def _connection(self, method: str, target: str) -> _Connection:
        if self._renewed():
            self._drop_idle()
        while self._idle:
            connection = self._idle.pop()
            if connection.takes_more:
                return connection
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                transport, connection = await loop.create_connection(
                    _Connection,
                    self.host,
                    self.port,
                    ssl=self._tls,
                    server_hostname=self._server_hostname,
                )
        except (OSError, TimeoutError) as exc:
            reason = exc if str(exc) else type(exc).__name__
            raise HttpError(
                f"{method} {self.host}:{self.port}{target}: cannot connect: {reason}"
            ) from exc
        tls = transport.get_extra_info("ssl_object")
        if self._spare is not None and tls is not None and tls.selected_alpn_protocol() == "h2":
            transport.abort()
            self._sessions, self._spare = self._spare, None
            where = f"{method} {self.host}:{self.port}{target}"
            raise HttpError(f"{where}: the server has changed to HTTP/2")
        return connection

    def _release(self, stream: Stream) -> None:
        connection = stream.carrier
        if not isinstance(connection, _Connection):
            return  # A stream of a connection that others use too.
        if connection.closed or len(self._idle) >= POOL_MAX:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(IDLE_SECONDS_MAX, self._close_idle, loop)

    def _close_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what nobody used for long; look again later if something is left."""
        self._sweep = None
        oldest = loop.time() - IDLE_SECONDS_MAX
        for connection in self._idle:
            if connection.idle_since <= oldest:
                connection.close()
        self._idle = [c for c in self._idle if not c.closed]
        if self._idle:
            self._sweep = loop.call_later(IDLE_SECONDS_MAX, self._close_idle, loop)

    def _head(
        self, method: str, target: str, headers: Mapping[str, str] | None, body: bytes
    ) -> bytes:
        target = self._checked(target)
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._host_header}"]
        for name, value in {**self.headers, **(headers or {})}.items():
            if "\r" in value or "\n" in value:
                raise ValueError(f"header {name} holds a line break")
            lines.append(f"{name}: {value}")
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _checked(self, target: str) -> str:
        target = self.base_path + target
        if not target.isascii() or any(c <= " " for c in target):
            raise ValueError(f"not a request target: {target!r}")
        return target
