"""Many requests of a client over one HTTP/2 connection: watches cost a stream, not a socket each.

    sessions = Sessions("127.0.0.1", 6443, tls, "127.0.0.1")    # shared by any number of clients
    stream = await sessions.stream(Asked("GET", "/api", "host", {}, b""), whole=False)

A connection from which nothing came for PING_SECONDS while it is waited for is asked for a sign of
life, and given up without one. Upstream: client-go sets ReadIdleTimeout 30 s and PingTimeout 15 s
(apimachinery pkg/util/net/http.go). Source: RFC 9113.
"""

import asyncio
import logging
import ssl
from typing import Final, NamedTuple, cast

from tiphys.lib.http.client_stream import (
    BODY_BYTES_MAX,
    CONNECT_SECONDS_MAX,
    IDLE_SECONDS_MAX,
    Answer,
    HttpError,
    Pending,
    Stream,
)
from tiphys.lib.http.http2_codes import Code
from tiphys.lib.http.http2_head import MalformedHead, decode_answer, encode_request
from tiphys.lib.http.http2_wire import Wire, WireError, WireLimits
from tiphys.lib.http.http2_writer import WireStream

log = logging.getLogger(__name__)

STREAM_WINDOW_BYTES: Final = 1 << 20  # Unread bytes of a stream before its server waits.
CONNECTION_WINDOW_BYTES: Final = 16 << 20
HEAD_BYTES_MAX: Final = 64 * 1024
FRAME_BYTES_MAX: Final = 64 * 1024
ATTEMPTS_MAX: Final = 3  # Of a request for which the server did nothing.
STREAM_ID_MAX: Final = (1 << 31) - 1  # RFC 9113, 5.1.1
PING_SECONDS: Final = 15.0  # Twice without a byte, then a ping, which has as long.
SUSPECT_SECONDS: Final = 3.0  # Who waited as long and heard nothing gives the connection up.
_PING: Final = b"tiphys.."


class NotMultiplexed(Exception):
    """The server speaks HTTP/1.1 only."""


class Asked(NamedTuple):
    method: str
    target: str
    host: str
    headers: dict[str, str]
    body: bytes


class Exchange(WireStream):
    """One request and its answer; the carrier of a Stream."""

    __slots__ = ("_session", "is_bodiless", "length", "pending", "received_bytes", "unsent")

    def __init__(self, session: "Session", stream_id: int, *, streaming: bool) -> None:
        super().__init__(stream_id, session.wire.peer_stream_window, STREAM_WINDOW_BYTES)
        self._session = session
        self.pending = Pending(asyncio.get_running_loop().create_future(), streaming)
        self.unsent = memoryview(b"")
        self.is_bodiless = False  # Its length is that of a body which does not come.
        self.length: int | None = None  # Of the body, where the answer says it.
        self.received_bytes = 0

    def resume(self, pending: Pending) -> None:
        used = STREAM_WINDOW_BYTES - self.receive_window - pending.size
        if used * 2 >= STREAM_WINDOW_BYTES:
            self._session.open_window(self, used)

    def abort(self) -> None:
        self._session.cancel(self)

    def fail(self, error: Exception) -> None:
        pending = self.pending
        pending.error = error
        pending.changed.set()
        if not pending.head.done():
            pending.head.set_exception(error)
            pending.head.exception()  # Whoever waits sees it; nobody waiting is no news.


class Unprocessed(HttpError):
    """The server did nothing for the request: it may be sent again, whatever it asks."""


class Session(asyncio.Protocol):
    """One connection. Takes requests until it is told to leave."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        limits = WireLimits(
            0, HEAD_BYTES_MAX, STREAM_WINDOW_BYTES, CONNECTION_WINDOW_BYTES, FRAME_BYTES_MAX
        )
        self.wire = Wire(self, limits, is_server=False)
        self._exchanges = cast(dict[int, Exchange], self.wire.streams)
        self._next_id = 1
        self._is_leaving = False
        self._is_suspect = False  # Nothing came for long: it is asked for a sign of life.
        self._tick: asyncio.TimerHandle | None = None
        self._silent_ticks = 0
        self._flush_asked = False
        self._unflushed: list[Exchange] = []  # Not a byte of them is on its way.
        self.answered = 0
        self.heard_at = self._loop.time()
        self.closed = False

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._tick is not None:
            self._tick.cancel()
        self._fail_all(HttpError(f"the connection was closed{f': {exc}' if exc else ''}"))

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        self._silent_ticks = 0
        self._is_suspect = False
        try:
            self.wire.receive(data)
        except WireError as error:
            log.info("HTTP/2 connection given up", extra={"why": str(error)})
            self._flush()
            self.give_up(HttpError(f"the answer is not HTTP/2: {error}"))
            return
        self._flush()

    # --- used by Sessions and Exchange

    @property
    def takes_more(self) -> bool:
        is_open = not self.closed and not self._is_leaving and not self._is_suspect
        is_open = is_open and self._next_id <= STREAM_ID_MAX
        if self._transport is None or self._transport.is_closing():
            return False
        return is_open and len(self._exchanges) < self.wire.peer_streams_max

    @property
    def is_idle(self) -> bool:
        return not self._exchanges

    def send(self, asked: Asked, *, streaming: bool) -> Exchange:
        """Raises ValueError for headers that cannot be sent."""
        block = encode_request(asked.method, asked.target, asked.host, asked.headers)
        exchange = Exchange(self, self._next_id, streaming=streaming)
        exchange.is_bodiless = asked.method == "HEAD"
        self.wire.highest_id = self._next_id
        self._next_id += 2
        self._exchanges[exchange.id] = exchange
        self._unflushed.append(exchange)
        self.wire.send_head(exchange.id, block, is_last=not asked.body)
        exchange.unsent = memoryview(asked.body)
        self._send_body(exchange)
        self._ask_flush()
        if self._tick is None:
            self._tick = self._loop.call_later(PING_SECONDS, self._look)
        return exchange

    def open_window(self, exchange: Exchange, size: int) -> None:
        if exchange.id in self._exchanges and not self.closed:
            self.wire.open_window(exchange, size)
            self._ask_flush()

    def cancel(self, exchange: Exchange) -> None:
        if exchange.id in self._exchanges and not self.closed:
            self.wire.reset(exchange.id, Code.CANCEL)
            exchange.fail(HttpError("given up"))
            self._ask_flush()
            self._settle()

    def suspect(self, since: float) -> None:
        """A request got no answer. A connection without a sign of life since then is asked for one.

        Until it comes nothing more is asked over it; it may be only that request that takes long.
        """
        is_silent = self.heard_at <= since and self._loop.time() - since >= SUSPECT_SECONDS
        if is_silent and not self._is_suspect and not self.closed:
            self._is_suspect = True
            self.wire.ping(_PING)
            self._ask_flush()
            self._loop.call_later(SUSPECT_SECONDS, self._judge)

    def _judge(self) -> None:
        if self._is_suspect and not self.closed:
            self.give_up(HttpError("the connection is silent"))

    def leave(self) -> None:
        """No more requests; closed when the last answer is there."""
        self._is_leaving = True
        self._settle()

    def give_up(self, error: HttpError) -> None:
        self.closed = True
        self._fail_all(error)
        if self._transport is not None:
            self._transport.abort()

    def _fail_all(self, error: HttpError) -> None:
        unsent = Unprocessed(str(error))
        for exchange in list(self._exchanges.values()):
            exchange.fail(unsent if exchange in self._unflushed else error)
        self._exchanges.clear()
        self._unflushed.clear()

    def _settle(self) -> None:
        if self._is_leaving and not self._exchanges and not self.closed:
            self.closed = True
            if self._transport is not None:
                self._flush()
                self._transport.close()

    def _look(self) -> None:
        self._tick = None
        if self.closed or not self._exchanges:
            return
        self._silent_ticks += 1
        if self._silent_ticks > 3:
            self.give_up(HttpError("the connection is silent"))
            return
        if self._silent_ticks == 3:
            self.wire.ping(_PING)
            self._flush()
        self._tick = self._loop.call_later(PING_SECONDS, self._look)

    def _ask_flush(self) -> None:
        if not self._flush_asked:
            self._flush_asked = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_asked = False
        if self._transport is not None and not self._transport.is_closing():
            data = self.wire.take()
            if data:
                self._transport.write(data)
            self._unflushed.clear()

    def _send_body(self, exchange: Exchange) -> None:
        wire = self.wire
        while exchange.unsent:
            size = min(exchange.send_window, wire.send_window, wire.peer_frame_bytes)
            if size <= 0:
                return
            piece, exchange.unsent = exchange.unsent[:size], exchange.unsent[size:]
            wire.send_data(exchange, piece, is_last=not exchange.unsent)

    # --- called by the wire

    def head_received(self, stream_id: int, block: bytes, *, is_last: bool) -> None:
        fields = self.wire.fields_of(block)
        head = self._exchanges[stream_id].pending.head
        if head.done():
            return  # Trailers.
        try:
            status, headers = decode_answer(fields)
        except MalformedHead as error:
            self.wire.fail(Code.PROTOCOL_ERROR, str(error))
            return
        if status < 200:
            return
        exchange = self._exchanges[stream_id]
        exchange.is_bodiless = exchange.is_bodiless or status in (204, 304)
        length = headers.get("content-length", "")
        exchange.length = int(length) if length.isdecimal() and len(length) < 19 else None
        head.set_result(Answer(status, headers))

    def data_received_on(self, stream: WireStream, data: bytes, size: int) -> None:
        assert isinstance(stream, Exchange)
        pending = stream.pending
        self.wire.consumed(None if pending.streaming else stream, size)
        if not data:
            return
        pending.chunks.append(data)
        pending.size += len(data)
        stream.received_bytes += len(data)
        pending.changed.set()
        if not pending.streaming and pending.size > BODY_BYTES_MAX:
            stream.fail(HttpError(f"the answer is larger than {BODY_BYTES_MAX} bytes"))
            self.cancel(stream)

    def stream_ended(self, stream: WireStream) -> None:
        assert isinstance(stream, Exchange)
        self.answered += 1
        if stream.unsent:  # An answer before the request was whole: the rest is not wanted.
            self.wire.reset(stream.id, Code.NO_ERROR)
        self._exchanges.pop(stream.id, None)
        if not stream.pending.head.done():
            stream.fail(HttpError("an answer without a head"))
        elif stream.length not in (None, stream.received_bytes) and not stream.is_bodiless:
            stream.fail(HttpError(f"{stream.received_bytes} of {stream.length} bytes came"))
        stream.pending.complete = True
        stream.pending.changed.set()
        self._settle()

    def stream_reset(self, stream: WireStream, code: int) -> None:
        assert isinstance(stream, Exchange)
        if code == Code.REFUSED_STREAM:
            stream.fail(Unprocessed("the server takes no more requests on this connection"))
        else:
            stream.fail(HttpError(f"the server gave up the answer ({_name(code)})"))
        self._settle()

    def window_opened(self, stream: WireStream | None) -> None:
        for exchange in list(self._exchanges.values()) if stream is None else [stream]:
            assert isinstance(exchange, Exchange)
            self._send_body(exchange)

    def left(self, last_stream_id: int, code: int) -> None:
        self._is_leaving = True
        for stream_id in [i for i in self._exchanges if i > last_stream_id]:
            exchange = self._exchanges[stream_id]
            self.wire.forget(stream_id)
            exchange.fail(Unprocessed("the server is going away"))
        self._settle()

    def frame_spent(self) -> None:
        """Servers may send what they like."""


def _name(code: int) -> str:
    return Code(code).name if code in Code.__members__.values() else str(code)


class Sessions:
    """Connections to one server with one identity, opened when they are needed."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext, server_hostname: str) -> None:
        """tls: offers h2 (lib.tls.offer_http2)."""
        self._where = f"{host}:{port}"
        self._host, self._port = host, port
        self._tls, self._server_hostname = tls, server_hostname
        self._sessions: list[Session] = []
        self._opening: asyncio.Task[None] | None = None
        self._generation = 0  # Of the identity.
        self._is_closed = False
        self._sweep: asyncio.TimerHandle | None = None

    async def stream(self, asked: Asked, *, whole: bool) -> Stream:
        """The answer's head. Raises HttpError, NotMultiplexed, ValueError."""
        attempt = 1
        while True:
            session = await self._session(asked)
            fresh = session.answered == 0
            sent_at = asyncio.get_running_loop().time()
            exchange = session.send(asked, streaming=not whole)
            pending = exchange.pending
            try:
                return Stream(await asyncio.shield(pending.head), exchange, pending)
            except HttpError as exc:
                # A read may be sent again, a write only when nothing was done for it.
                again = not fresh and session.closed and asked.method in ("GET", "HEAD")
                if (again or isinstance(exc, Unprocessed)) and attempt < ATTEMPTS_MAX:
                    attempt += 1
                    continue
                raise HttpError(f"{asked.method} {self._where}{asked.target}: {exc}") from exc
            except BaseException:
                session.suspect(sent_at)
                exchange.abort()
                raise

    def renew(self) -> None:
        """The identity has changed: what is under way ends as it began, new requests do not."""
        self._generation += 1
        for session in self._sessions:
            session.leave()

    def close(self) -> None:
        """Ends what is under way, and for good."""
        self._is_closed = True
        for session in self._sessions:
            session.give_up(HttpError("the client was closed"))
        self._sessions.clear()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    async def _session(self, asked: Asked) -> Session:
        """One that takes more; those who come while one is opened wait for it together."""
        while not self._is_closed:
            for session in self._sessions:
                if session.takes_more:
                    return session
            if self._opening is None:
                self._opening = asyncio.get_running_loop().create_task(self._open())
                self._opening.add_done_callback(self._opened)
            try:
                await asyncio.shield(self._opening)
            except HttpError as exc:
                raise HttpError(f"{asked.method} {self._where}{asked.target}: {exc}") from exc
        raise HttpError(f"{asked.method} {self._where}{asked.target}: the client was closed")

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # Whoever waits sees it.

    async def _open(self) -> None:
        generation = self._generation
        session = await self._connect()
        if self._is_closed:
            session.give_up(HttpError("the client was closed"))
            return
        self._sessions = [s for s in self._sessions if not s.closed]
        self._sessions.append(session)
        if generation != self._generation:
            session.leave()  # It has the identity of before.
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(IDLE_SECONDS_MAX, self._close_idle)

    async def _connect(self) -> Session:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                transport, session = await loop.create_connection(
                    Session,
                    self._host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._server_hostname,
                )
        except (OSError, TimeoutError) as exc:
            reason = exc if str(exc) else type(exc).__name__
            raise HttpError(f"cannot connect: {reason}") from exc
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            transport.abort()
            raise NotMultiplexed
        return session

    def _close_idle(self) -> None:
        """Close what nobody uses; look again later if something is left."""
        self._sweep = None
        loop = asyncio.get_running_loop()
        for session in self._sessions:
            if session.is_idle and loop.time() - session.heard_at >= IDLE_SECONDS_MAX:
                session.leave()
        self._sessions = [s for s in self._sessions if not s.closed]
        if self._sessions:
            self._sweep = loop.call_later(IDLE_SECONDS_MAX, self._close_idle)
