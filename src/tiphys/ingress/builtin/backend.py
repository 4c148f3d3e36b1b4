"""One connection to an endpoint: one request at a time, kept for the next one where it may be."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import httptools

from tiphys.ingress.builtin.heads import Headers
from tiphys.ingress.table import Endpoint

if TYPE_CHECKING:
    from tiphys.ingress.builtin.exchange import Exchange

HEAD_BYTES_MAX: Final = 256 * 1024  # Of an answer; nginx takes 8 KB.
WRITE_BUFFER_BYTES_MAX: Final = 64 * 1024  # Then the client is not read from.


class BackendConnection(asyncio.Protocol):
    def __init__(self, endpoint: Endpoint, *, tls: bool) -> None:
        self.endpoint = endpoint
        self.tls = tls
        self.closed = False
        self.idle_since = 0.0
        self.served = 0  # Requests answered before.
        self.writable = True
        self._exchange: Exchange | None = None
        self._transport: Any = None
        self._parser = httptools.HttpResponseParser(self)
        self._reading_paused = False
        self._is_tunnel = False
        self._forget()

    def _forget(self) -> None:
        self._reason = b""
        self._headers: Headers = []
        self._head_bytes = 0
        self._has_head = False  # Of the final answer.
        self._framed = False
        self._ended = False
        self._reusable = True

    # --- for an exchange

    def begin(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._forget()

    def write(self, pieces: list[bytes]) -> None:
        if not self.closed:
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def leave(self) -> None:
        """The exchange is over before the answer is: nothing may follow on this connection."""
        self._exchange = None
        self.abort()

    def end_tunnel(self) -> None:
        """The client has gone: what it had written still goes."""
        self._exchange = None
        self.close()

    def abort(self) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """After what is written has gone."""
        self.closed = True
        self._transport.close()

    def pause_reading(self) -> None:
        if not self._reading_paused and not self.closed:
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_paused and not self.closed:
            self._reading_paused = False
            self._transport.resume_reading()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)

    def pause_writing(self) -> None:
        self.writable = False
        if self._exchange is not None:
            self._exchange.backend_full()

    def resume_writing(self) -> None:
        self.writable = True
        if self._exchange is not None:
            self._exchange.backend_takes()

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self.abort()  # Nobody has asked.
        elif self._is_tunnel:
            exchange.tunnel_down(data)
        else:
            self._feed(data, exchange)

    def _feed(self, data: bytes, exchange: "Exchange") -> None:
        broken = ""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._is_tunnel = True
            exchange.switched(self._headers, data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as exc:
            broken = str(exc)
        if self._exchange is not exchange:
            return
        if self._ended:
            self._exchange = None
            self.served += 1
            if broken or not self._reusable:
                self.close()
            exchange.answered(self)
        elif broken:
            self._fail(f"its answer is not HTTP: {broken}")
        else:
            exchange.flush_down()
            if not self._has_head:
                self._head_bytes += len(data)
                if self._head_bytes > HEAD_BYTES_MAX:
                    self._fail("the head of its answer is too large")

    def _fail(self, why: str) -> None:
        exchange, self._exchange = self._exchange, None
        self.abort()
        if exchange is not None:
            exchange.backend_failed(self, why)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        # uvloop's TLS forgets what a paused reader has not read: that end would be no end.
        is_whole = exc is None and not (self.tls and self._reading_paused)
        if self._is_tunnel:
            exchange.tunnel_ended()
        elif is_whole and self._has_head and not self._framed:
            exchange.answered(self)  # Its end is the connection's: RFC 9112 section 6.3.
        else:
            exchange.backend_failed(self, f"it closed the connection{f': {exc}' if exc else ''}")

    # --- httptools callbacks

    def on_message_begin(self) -> None:
        if self._ended:
            self._reusable = False  # More than was asked for.
        self._headers = []

    def on_status(self, reason: bytes) -> None:
        self._reason = reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 or self._ended or self._exchange is None:
            return
        names = {name.lower() for name, _ in self._headers}
        self._has_head = True
        has_length = b"content-length" in names
        self._framed = has_length or b"transfer-encoding" in names
        self._exchange.answer_head(status, self._reason, self._headers, has_length=has_length)
        if self._exchange.is_head:
            # Its length says what a GET would bring: the parser must not wait for that.
            self._reusable = self._parser.should_keep_alive()
            self._ended = True
            self._parser = httptools.HttpResponseParser(self)

    def on_body(self, data: bytes) -> None:
        if not self._ended and self._exchange is not None:
            self._exchange.answer_body(data)

    def on_message_complete(self) -> None:
        if self._ended or self._parser.get_status_code() < 200:
            return
        self._ended = True
        self._reusable = self._parser.should_keep_alive()
