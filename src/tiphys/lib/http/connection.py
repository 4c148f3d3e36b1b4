"""One client connection of the server: parses requests, answers them in order.

A handler that answers at once costs no task. Requests that come while one is being answered wait
(pipelining); a client that does not read its answers is not read from.
"""

import asyncio
import logging
import re
import ssl
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

import httptools

from tiphys.lib.http.flow import BodyWriter, FlowControl, RawStream
from tiphys.lib.http.head import encode_head, encode_upgrade_head
from tiphys.lib.http.message import (
    Answer,
    Peer,
    Pieces,
    Request,
    Response,
    StreamResponse,
    UpgradeResponse,
)

if TYPE_CHECKING:
    from tiphys.lib.http.server import HttpServer

log = logging.getLogger(__name__)

PIECE_BYTES_MAX: Final = 64 * 1024  # One write; 35 MB in one write stalls the loop for 190 ms.
PIPELINE_MAX: Final = 64  # Requests that may wait on one connection before reading pauses.
REPEATS_MAX: Final = 1000  # Headers of one request that were there already.
LINGER_SECONDS: Final = 0.5  # net/http rstAvoidanceDelay
_BODILESS: Final = frozenset({204, 304})  # RFC 9112 section 6.3: not even an empty chunk.
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
# The request lines whose headers are kept; the parser knows more, and reads all others.
_LINE: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE) (/[\w./~%?=&:,+()!*'@$;-]*) HTTP/1\.1\r\n"
)
_NOT_KEPT: Final = frozenset({"transfer-encoding", "expect", "upgrade"})
_METHOD: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,32}")  # RFC 9110, 9.1: a token.
_names: dict[bytes, str] = {}  # Header names seen, lower case; bounded by _NAMES_MAX.
_NAMES_MAX: Final = 512
# Headers by their bytes, and the length of the body that they announce: a client sends the same
# ones with all it asks for, and reading them takes longer than answering. Bounded by both of these,
# shared by all connections.
_heads: dict[bytes, tuple[dict[str, str], int]] = {}
_HEADS_MAX: Final = 512
_HEAD_BYTES_MAX: Final = 4096


def _lower(name: bytes) -> str:
    text = name.decode("latin-1").lower()
    if len(_names) < _NAMES_MAX and len(name) <= 64:
        _names[name] = text
    return text


class Connection(asyncio.Protocol):
    """See the module. Lives as long as its socket; `HttpServer` holds all of them."""

    def __init__(self, server: "HttpServer") -> None:
        self._server = server
        self._limits = server.limits
        self._handler = server.handler
        self._transport: Any = None
        self._parser = httptools.HttpRequestParser(self)
        self._flow = FlowControl()
        self._peer = Peer()
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._raw: RawStream | None = None
        self._held: bytearray | None = None  # Bytes behind a request that asks for an upgrade.
        self._reading_paused = False
        self._closing = False
        self.idle_since = server.now
        self._url = b""
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._repeats = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._rejected = False
        self._in_request = False  # Between a request's first byte and its last.
        self._request_count = 0
        self._last: Request | None = None  # The one that was read last, while its bytes are there.
        self._method = ""  # Of the request being read, where the parser does not know it.

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            self._give_to_http2()
            return
        if not self._server.add(self):
            self._closing = True
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=PIECE_BYTES_MAX)
        peer = transport.get_extra_info("peername")
        self._peer.peer_address = peer[0] if isinstance(peer, tuple) else ""
        self._peer.peer_certificate = tls.getpeercert(binary_form=True) if tls else None

    def _give_to_http2(self) -> None:
        from tiphys.lib.http.http2 import Http2Connection  # Who never needs it never loads it.

        connection = Http2Connection(self._server)
        self._transport.set_protocol(connection)
        connection.connection_made(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._flow.close()
        if self._raw is not None:
            self._raw.feed_eof()
        elif self._task is not None:
            self._task.cancel()
        self._waiting.clear()
        self._server.remove(self)

    def eof_received(self) -> bool:
        if self._raw is not None:
            self._raw.feed_eof()
        return False

    def pause_writing(self) -> None:
        self._flow.pause()
        if self._raw is None:
            self._pause_reading()

    def resume_writing(self) -> None:
        self._flow.resume()
        self._resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._raw is not None:
            self._raw.feed(data)
        elif self._held is not None:
            self._held += data
            self._pause_reading()
        elif not self._closing and not self._rejected:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        self.idle_since = self._server.now
        before = None if self._in_request or self._method else self._request_count
        if before is not None and self._feed_known(data):
            return
        self._last = None
        try:
            self._parser.feed_data(data)
            if before is not None and self._request_count == before + 1:
                self._remember(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade_asked(data[upgrade.args[0] :])
        except httptools.HttpParserInvalidMethodError:
            if self._request_count == before and not self._method:
                self._feed_unknown_method(data)
            elif not self._closing and not self._rejected:
                self._reject(400, "malformed HTTP request")
        except httptools.HttpParserError:
            if not self._closing and not self._rejected:
                self._reject(400, "malformed HTTP request")

    def _feed_known(self, data: bytes) -> bool:
        """Whether the bytes are one whole request whose headers are known: it is then taken."""
        line = _LINE.match(data)
        if line is None:
            return False
        end = data.find(b"\r\n\r\n", line.end() - 2) + 4
        known = _heads.get(data[line.end() : end])
        if known is None or len(data) - end != known[1]:
            return False
        self._request_count += 1
        method, target = line[1].decode(), line[2].decode()
        self._take(Request(method, target, known[0].copy(), data[end:], self._peer))
        return True

    def _remember(self, data: bytes) -> None:
        """The bytes are one whole request: its headers are kept when nothing else is in them."""
        request, self._last = self._last, None
        line = _LINE.match(data)
        if request is None or line is None or self._in_request:
            return
        end = data.find(b"\r\n\r\n", line.end() - 2) + 4
        whole = len(data) - end == len(request.body) and end - line.end() <= _HEAD_BYTES_MAX
        plain = request.keep_alive and not request.http_1_0
        if not whole or not plain or not _NOT_KEPT.isdisjoint(request.headers):
            return
        if len(_heads) >= _HEADS_MAX:
            _heads.clear()
        _heads[data[line.end() : end]] = self._headers, len(request.body)

    def _feed_unknown_method(self, data: bytes) -> None:
        """Any token is a method, and for the handler to refuse: the parser is shown another."""
        method, space, rest = data.partition(b" ")
        if not space or not _METHOD.fullmatch(method):
            self._reject(400, "malformed HTTP request")
            return
        self._method = method.decode()
        self._restart(b"PURGE " + rest)

    def _upgrade_asked(self, rest: bytes) -> None:
        if self._raw is not None:
            self._raw.feed(rest)
        elif self._task is not None or self._waiting:
            self._held = bytearray(rest)
        elif not self._closing:  # Answered without an upgrade: go on with HTTP.
            self._restart(rest)

    def _restart(self, rest: bytes) -> None:
        self._parser = httptools.HttpRequestParser(self)
        if rest:
            self._feed(rest)

    # --- httptools callbacks; none may raise

    def on_message_begin(self) -> None:
        self._in_request = True
        self._url = b""
        self._headers = {}
        self._header_bytes = 0
        self._repeats = 0
        self._body = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > self._limits.head_bytes_max:
            self._count_head(0)
            return
        key = _names.get(name) or _lower(name)
        headers = self._headers
        text = value.decode("latin-1")
        if key in headers:
            self._repeats += 1  # Each puts together what was there anew.
            if self._repeats > REPEATS_MAX:
                self._count_head(self._limits.head_bytes_max)
                return
            headers[key] += ("; " if key == "cookie" else ", ") + text
        else:
            headers[key] = text

    def on_headers_complete(self) -> None:
        headers = self._headers
        if "content-length" in headers:
            try:
                length = int(headers["content-length"])
            except ValueError:
                self._reject(400, "malformed Content-Length")
                return
            if length > self._limits.body_bytes_max:
                self._reject(413, self._too_large())
                return
        if "expect" in headers and headers["expect"].lower() == "100-continue":
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes_max:
            self._reject(413, self._too_large())
        elif not self._rejected:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._rejected or self._closing:
            return
        body = self._body
        parser = self._parser
        self._in_request = False
        self._request_count += 1
        request = Request(
            self._method or parser.get_method().decode("latin-1"),
            self._url.decode("latin-1"),
            self._headers.copy(),  # A handler's change is its own.
            b"" if not body else body[0] if len(body) == 1 else b"".join(body),
            self._peer,
            keep_alive=parser.should_keep_alive() or "upgrade" in self._headers,
            http_1_0=parser.get_http_version() == "1.0",
        )
        self._method = ""
        self._last = request
        self._take(request)

    def _take(self, request: Request) -> None:
        """Answer it, or keep it until those before it are answered."""
        if self._task is None and not self._waiting:
            self._answer(request)
        else:
            self._waiting.append(request)
            if len(self._waiting) >= PIPELINE_MAX:
                self._pause_reading()

    # --- answering

    def _answer(self, request: Request) -> None:
        try:
            answer = self._handler(request)
        except Exception as error:  # noqa: BLE001 - a handler's bug must not end the server
            answer = self._server.failed(request, error)
        if type(answer) is Response and self._is_small(answer.body):
            self._write_small(request, answer, answer.body)
            if not request.keep_alive or self._server.is_stopping:
                self._close()
            return
        self._task = self._server.tasks.start(self._complete(request, answer), "http answer")

    def _is_small(self, body: bytes | Pieces) -> bool:
        return isinstance(body, bytes) and len(body) <= PIECE_BYTES_MAX

    def _write_small(self, request: Request, answer: Response, body: Any) -> None:
        close = not request.keep_alive or self._server.is_stopping
        head = encode_head(
            answer.status, answer.headers, len(body), close=close, own=answer.own_headers
        )
        self._transport.write(head if request.method == "HEAD" else head + body)

    async def _complete(self, request: Request, work: Answer | Awaitable[Answer]) -> None:
        try:
            if isinstance(work, (Response, StreamResponse, UpgradeResponse)):
                await self._send(request, work)
            else:
                await self._send(request, await self._server.result(request, work))
        except (ConnectionError, asyncio.CancelledError):
            # The client left, or the server stops and has no more patience.
            self._close()
            if not self._flow.closed:
                raise
            return
        except Exception as error:  # a stream's bug: its answer has begun, so only closing is left
            log.exception("answer failed", extra={"path": request.raw_path}, exc_info=error)
            self._transport.abort()
            return
        self._task = None
        if self._raw is not None or not request.keep_alive or self._server.is_stopping:
            self._close()
            return
        self._next()

    def _next(self) -> None:
        self.idle_since = self._server.now
        while self._waiting and self._task is None and not self._closing:
            self._answer(self._waiting.popleft())
        if self._task is None and not self._closing:
            if self._held is not None:
                rest, self._held = bytes(self._held), None
                self._restart(rest)
            self._resume_reading()

    async def _send(self, request: Request, answer: Answer) -> None:
        if isinstance(answer, Response):
            if self._is_small(answer.body):
                self._write_small(request, answer, answer.body)
            else:
                await self._write_pieces(request, answer)
        elif isinstance(answer, StreamResponse):
            await self._write_stream(request, answer)
        else:
            await self._upgrade(answer)

    async def _write_pieces(self, request: Request, answer: Response) -> None:
        body = answer.body
        pieces, length = ((body,), len(body)) if isinstance(body, bytes) else (body, body.length)
        close = not request.keep_alive or self._server.is_stopping
        head = encode_head(
            answer.status, answer.headers, length, close=close, own=answer.own_headers
        )
        self._transport.write(head)
        if request.method == "HEAD":
            return
        held: list[bytes] = []
        held_bytes = 0
        for piece in pieces:
            if held and held_bytes + len(piece) > PIECE_BYTES_MAX:
                await self._write_paced(b"".join(held))
                held, held_bytes = [], 0
            if len(piece) > PIECE_BYTES_MAX:
                view = memoryview(piece)
                for start in range(0, len(piece), PIECE_BYTES_MAX):
                    await self._write_paced(view[start : start + PIECE_BYTES_MAX])
            else:
                held.append(piece)
                held_bytes += len(piece)
        self._transport.write(b"".join(held))

    async def _write_paced(self, data: bytes | memoryview) -> None:
        self._transport.write(data)
        # Others get their turn between two pieces even when the socket takes everything.
        await (asyncio.sleep(0) if self._flow.writable else self._flow.drain())

    async def _write_stream(self, request: Request, answer: StreamResponse) -> None:
        chunked = not request.http_1_0
        request.keep_alive = request.keep_alive and chunked
        close = not request.keep_alive
        head = encode_head(answer.status, answer.headers, None, close=close, own=answer.own_headers)
        bodiless = answer.status in _BODILESS
        if not chunked or bodiless:
            head = head.replace(b"Transfer-Encoding: chunked\r\n", b"", 1)
        self._transport.write(head)
        writer = BodyWriter(
            self._transport, self._flow, chunked=chunked, stopping=self._server.stopping
        )
        try:
            if request.method != "HEAD" and not bodiless:
                await answer.write_body(writer)
        finally:
            writer.on_writable(None)
        if request.method != "HEAD" and not bodiless:
            writer.end()

    async def _upgrade(self, answer: UpgradeResponse) -> None:
        if answer.send_head:
            self._transport.write(encode_upgrade_head(answer.headers, answer.own_headers))
        self._raw = RawStream(self._transport, self._flow, self._server.stopping)
        if self._held is not None:
            self._raw.feed(bytes(self._held))
            self._held = None
        self._resume_reading()
        await answer.run(self._raw)

    # --- closing and limits

    def _too_large(self) -> str:
        return f"limit is {self._limits.body_bytes_max}"

    def _count_head(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._limits.head_bytes_max and not self._rejected:
            self._reject(431, "request header fields too large")

    def _reject(self, status: int, why: str) -> None:
        if self._rejected or self._closing:
            return
        self._rejected = True
        if self._task is None:
            response = self._server.error_response(status, why)
            body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
            head = encode_head(response.status, response.headers, len(body), close=True)
            self._transport.write(head + body)
        # A client that still sends must get to read this answer: closing at once would reset it.
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._close)

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self._closing:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self._closing:
            self._reading_paused = False
            self._transport.resume_reading()

    def _close(self) -> None:
        if not self._closing:
            self._closing = True
            self._transport.close()

    @property
    def is_idle(self) -> bool:
        return self._task is None

    def close_idle(self) -> None:
        """Close now if nothing is being answered."""
        if self._task is None:
            self._close()

    def abort(self) -> None:
        self._closing = True
        self._transport.abort()
