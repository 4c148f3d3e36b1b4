"""One client's connection: requests are read as they come and answered one after the other."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import httptools

from tiphys.ingress.builtin.exchange import Exchange
from tiphys.ingress.builtin.heads import BadRequest, Headers, Origin, own_answer, read_request

if TYPE_CHECKING:
    from tiphys.ingress.builtin.service import Service

HEAD_BYTES_MAX: Final = 32 * 1024  # ingress-nginx large-client-header-buffers: 4 of 8 KB
HEADERS_MAX: Final = 256
IDLE_SECONDS_MAX: Final = 75.0  # ingress-nginx keep-alive
HEAD_SECONDS_MAX: Final = 60.0  # ingress-nginx client-header-timeout
WRITE_BUFFER_BYTES_MAX: Final = 64 * 1024  # Then the backend is not read from.
LINGER_SECONDS: Final = 2.0  # For a client that still sends to read why it should not.


class ClientConnection(asyncio.Protocol):
    def __init__(self, service: "Service", *, tls: bool) -> None:
        self.service = service
        self.origin = Origin(b"", *service.entry(tls=tls))
        self._transport: Any = None
        self._parser = httptools.HttpRequestParser(self)
        self._exchanges: deque[Exchange] = deque()
        self._reading: Exchange | None = None  # Whose body comes now.
        self._touched = service.now
        self._target = b""
        self._headers: Headers = []
        self._head_bytes = 0
        self._in_head = False
        self._moved = False  # Whether the last bytes have brought a head or a part of a body.
        self._quiet_bytes = 0  # Those that have not: a head, a chunk's size, trailers.
        self._held: bytearray | None = None  # Bytes behind a request for another protocol.
        self._tunnel: Exchange | None = None
        self._rejected: BadRequest | None = None
        self._deaf = False  # Whatever still comes is thrown away.
        self._closing = False
        self._advancing = False
        self._reading_paused = False

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if not self.service.add(self):
            self.abort()
            return
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)
        peer = transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else ""
        self.origin = self.origin._replace(peer=address.encode())

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        for exchange in self._exchanges:
            exchange.client_gone()
        self._exchanges.clear()
        self.service.remove(self)

    def pause_writing(self) -> None:
        if self._exchanges:
            self._exchanges[0].client_full()

    def resume_writing(self) -> None:
        if self._exchanges:
            self._exchanges[0].client_takes()

    def data_received(self, data: bytes) -> None:
        self._touched = self.service.now
        if self._tunnel is not None:
            self._tunnel.tunnel_up(data)
        elif self._held is not None:
            self._held += data
        elif not self._deaf:
            self._feed(data)
        self.update_reading()

    def _feed(self, data: bytes) -> None:
        self._moved = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._held = bytearray(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._reject(BadRequest(400, "what came is no proper HTTP request"))
        self._quiet_bytes = 0 if self._moved else self._quiet_bytes + len(data)
        if self._quiet_bytes > HEAD_BYTES_MAX:
            self._reject_large()
        self._advance()
        if self._exchanges:
            self._exchanges[0].flush_up()

    # --- httptools callbacks

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = []
        self._head_bytes = 0
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        self._count(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._moved = True
        if self._rejected is not None or self._deaf:
            return
        parser = self._parser
        headers, self._headers = self._headers, []  # Trailers are none of them.
        try:
            head = read_request(
                parser.get_method(),
                self._target,
                headers,
                http_1_0=parser.get_http_version() == "1.0",
                close=not parser.should_keep_alive(),
                upgrade=parser.should_upgrade(),
            )
        except BadRequest as exc:
            self._reject(exc)
            return
        self._reading = Exchange(self, head)
        self._exchanges.append(self._reading)

    def on_body(self, data: bytes) -> None:
        self._moved = True
        if self._reading is not None and self._rejected is None:
            self._reading.body(data)

    def on_message_complete(self) -> None:
        self._moved = True
        reading, self._reading = self._reading, None
        if reading is not None and self._rejected is None:
            reading.end()

    # --- for an exchange

    def write(self, pieces: list[bytes]) -> None:
        if not self._closing:
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def finished(self, *, close: bool) -> None:
        """The first exchange is over."""
        self._touched = self.service.now
        first = self._exchanges.popleft()
        if self._tunnel is not None:
            self._tunnel = None
            self._close()
        elif close:
            if self._reading is first:
                self._reading = None
                self._linger()
            else:
                self._close()
        else:
            if self._held is not None and not self._exchanges:
                self._go_on()
            self._advance()
            self.update_reading()

    def closes_after(self, exchange: Exchange) -> bool:
        """Whether an exchange's answer is this connection's last."""
        return self.service.is_stopping or exchange.head.close

    def switch(self) -> None:
        """From now on only bytes."""
        self._tunnel = self._exchanges[0]
        held, self._held = self._held, None
        if held:
            self._tunnel.tunnel_up(bytes(held))
        self.update_reading()

    def update_reading(self) -> None:
        """Read only what has a place to go."""
        if self._closing:
            return
        busy = len(self._exchanges) > 1 or (self._held is not None and self._tunnel is None)
        full = bool(self._exchanges) and self._exchanges[0].is_full
        if (busy or full) and not self._deaf:
            if not self._reading_paused:
                self._reading_paused = True
                self._transport.pause_reading()
        elif self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        self._closing = True
        self._transport.abort()

    # --- its own

    def _advance(self) -> None:
        """Start what is first; answers of our own let the next one begin, in a loop."""
        if self._advancing:
            return
        self._advancing = True
        while self._exchanges and not self._exchanges[0].started:
            if self._closing or self._deaf:
                break
            self._exchanges[0].start()
            if self._exchanges:
                self._exchanges[0].flush_up()
        self._advancing = False
        if self._rejected is not None and not self._exchanges and not self._deaf:
            text = own_answer(self._rejected.status, str(self._rejected), close=True)
            self.write([text])
            self._linger()

    def _go_on(self) -> None:
        """A protocol was asked for and not given: what follows is HTTP again."""
        assert self._held is not None
        rest, self._held = bytes(self._held), None
        self._parser = httptools.HttpRequestParser(self)
        if rest:
            asyncio.get_running_loop().call_soon(self.data_received, rest)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX or len(self._headers) > HEADERS_MAX:
            self._reject_large()

    def _reject_large(self) -> None:
        self._reject(BadRequest(431, f"the head is larger than {HEAD_BYTES_MAX} bytes"))

    def _reject(self, why: BadRequest) -> None:
        """After the answers to what came before."""
        if self._rejected is not None:
            return
        self._rejected = why
        if self._reading is not None:  # Its body is broken: nobody can tell where it ends.
            broken, self._reading = self._reading, None
            if broken.started:
                self._exchanges.remove(broken)
                broken.client_gone()
                if broken.has_answered:
                    self.abort()
            else:
                self._exchanges.remove(broken)

    def _linger(self) -> None:
        """Closing at once would reset the connection before the client has read the answer."""
        self._deaf = True
        self.update_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._close)

    def _close(self) -> None:
        if not self._closing:
            self._closing = True
            self._transport.close()

    def check(self, now: float) -> None:
        """Close what waits for too long."""
        if self._exchanges:
            self._exchanges[0].check(now)
        elif not self._deaf:
            waited = now - self._touched
            if waited > (HEAD_SECONDS_MAX if self._in_head else IDLE_SECONDS_MAX):
                self._close()

    def close_idle(self) -> None:
        """Close now if nothing is being answered."""
        if not self._exchanges:
            self._close()
