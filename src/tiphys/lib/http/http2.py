"""One HTTP/2 connection of the server: many requests at once, answered as they are ready.

Chosen by ALPN and loaded only then. Handlers see what HTTP/1.1 shows them; upgrades are asked for
over HTTP/1.1. A client that does not read its answers is not read from, and neither is one whose
frames are many and ask for nothing (frame_budget.py). Sources: RFC 9113; upstream's limits in
apiserver pkg/server/secure_serving.go.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Final, cast

from tiphys.lib.http.flow import BodyWriter
from tiphys.lib.http.frame_budget import FrameBudget
from tiphys.lib.http.hpack import encode
from tiphys.lib.http.http2_codes import Code
from tiphys.lib.http.http2_head import HeadReader, MalformedHead, RequestHead, encode_answer
from tiphys.lib.http.http2_outbox import PIECE_BYTES_MAX, Outbox
from tiphys.lib.http.http2_stream import Http2Stream
from tiphys.lib.http.http2_uploads import BODY_SECONDS_MAX, STREAM_WINDOW_BYTES, Uploads
from tiphys.lib.http.http2_wire import Wire, WireError, WireLimits
from tiphys.lib.http.http2_writer import WireStream
from tiphys.lib.http.message import (
    Answer,
    Peer,
    Request,
    Response,
    StreamResponse,
    UpgradeResponse,
)

if TYPE_CHECKING:
    from tiphys.lib.http.server import HttpServer

log = logging.getLogger(__name__)

CONNECTION_WINDOW_BYTES: Final = 1 << 20  # x/net/http2 Server.MaxUploadBufferPerConnection
LINGER_SECONDS: Final = 0.5  # See connection.py.
_CONTINUE: Final = encode((b":status", b"100"))
_NO_HEAD: Final = RequestHead("GET", "/", {}, None)
_BODILESS: Final = frozenset({204, 304})  # RFC 9110 section 6.4.1


class Http2Connection(Outbox, asyncio.Protocol):
    """See the module. Lives as long as its socket; `HttpServer` holds all of them."""

    def __init__(self, server: "HttpServer") -> None:
        super().__init__()
        self._server = server
        self._limits = server.limits
        self._peer = Peer()
        self._budget = FrameBudget(self._loop.time())
        self._windows_opened = False
        self._is_leaving = False  # GOAWAY is sent: what is under way ends, nothing begins.
        self.idle_since = server.now
        limits = WireLimits(
            self._limits.streams_max,
            self._limits.head_bytes_max,
            STREAM_WINDOW_BYTES,
            CONNECTION_WINDOW_BYTES,
        )
        self._wire = Wire(self, limits, is_server=True)
        self._uploads = Uploads(self._wire, self._loop.time)
        self._look_at_uploads: asyncio.TimerHandle | None = None  # While bodies wait for room.
        self._heads = HeadReader(self._wire)
        self._streams = cast(dict[int, Http2Stream], self._wire.streams)

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if not self._server.add(self):
            self._closing = True
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=PIECE_BYTES_MAX)
        peer = transport.get_extra_info("peername")
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        self._peer.peer_address = peer[0] if isinstance(peer, tuple) else ""
        self._peer.peer_certificate = tls.getpeercert(binary_form=True) if tls else None
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        if self._look_at_uploads is not None:
            self._look_at_uploads.cancel()
        self._close_streams()
        self._server.remove(self)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._is_writable = False
        if not self._closing:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_writable = True
        if not self._closing:
            self._transport.resume_reading()
            self._send_blocked()

    def data_received(self, data: bytes) -> None:
        self.idle_since = self._server.now
        if self._closing:
            return
        self._flush_asked = True  # By the end of this.
        try:
            self._wire.receive(data)
            if self._windows_opened:
                self._windows_opened = False
                self._send_blocked()
        except WireError as error:
            log.info("HTTP/2 connection given up", extra={"why": str(error)})
            self._close()
            return
        self._flush()

    # --- what comes in: called by the wire

    def head_received(self, stream_id: int, block: bytes, *, is_last: bool) -> None:
        if self._closing or stream_id in self._streams:
            self._wire.fields_of(block)  # Trailers, which nobody reads: the table must see them.
            return
        try:
            head = self._heads.read(block)
        except MalformedHead as error:
            stream = self._open(stream_id, _NO_HEAD)
            stream.is_remote_ended = is_last
            self._reject(stream, 400, str(error))
            return
        if self._is_leaving:
            self._wire.reset(stream_id, Code.REFUSED_STREAM)
        elif is_last:
            self._whole(stream_id, head)
        else:
            self._begin(self._open(stream_id, head))

    def _open(self, stream_id: int, head: RequestHead) -> Http2Stream:
        windows = self._wire.peer_stream_window, STREAM_WINDOW_BYTES
        stream = Http2Stream(self, stream_id, head, windows)
        self._streams[stream_id] = stream
        return stream

    def _begin(self, stream: Http2Stream) -> None:
        head = stream.head
        if head.length is not None and head.length > self._limits.body_bytes_max:
            self._reject(stream, 413, f"limit is {self._limits.body_bytes_max}")
            return
        if head.length is not None:
            self._expect(stream, head.length)
        if head.headers.get("expect", "").lower() == "100-continue":
            self._wire.send_head(stream.id, _CONTINUE, is_last=False)

    def data_received_on(self, stream: WireStream, data: bytes, size: int) -> None:
        assert isinstance(stream, Http2Stream)
        self._wire.consumed(None, size)
        if size > len(data):
            self._wire.open_window(stream, size - len(data))  # Padding is nobody's.
        if stream.is_answered or not data:
            return
        stream.body += data
        stream.body_bytes += len(data)
        if stream.body_bytes > self._limits.body_bytes_max:
            self._reject(stream, 413, f"limit is {self._limits.body_bytes_max}")
        elif stream.head.length is None and stream.body_bytes * 2 >= STREAM_WINDOW_BYTES:
            self._expect(stream, self._limits.body_bytes_max + 1)

    def _expect(self, stream: Http2Stream, size: int) -> None:
        self._uploads.expect(stream, size)
        if self._uploads.is_waited_for and self._look_at_uploads is None:
            later = self._loop.call_later(BODY_SECONDS_MAX, self._end_stalled)
            self._look_at_uploads = later

    def _end_stalled(self) -> None:
        """Who does not send holds up the others no longer."""
        self._look_at_uploads = None
        for stream_id in self._uploads.stalled():
            self._reject(self._streams[stream_id], 408, "the body did not come in time")
        if self._uploads.is_waited_for and not self._closing:
            later = self._loop.call_later(BODY_SECONDS_MAX, self._end_stalled)
            self._look_at_uploads = later

    def stream_ended(self, stream: WireStream) -> None:
        assert isinstance(stream, Http2Stream)
        if stream.is_answered:
            return
        length = stream.head.length
        if length is not None and length != stream.body_bytes:
            self.frame_spent()
            self._reset(stream, Code.PROTOCOL_ERROR)
        else:
            self._give(stream, *self._handled(stream.head, self._body_of(stream)))

    def stream_reset(self, stream: WireStream, code: int) -> None:
        assert isinstance(stream, Http2Stream)
        self._forget(stream)
        stream.close()

    def window_opened(self, stream: WireStream | None) -> None:
        if stream is None:
            self._windows_opened = True  # Once for all that came together.
        elif stream.id in self._blocked:
            self.send_pending(self._blocked.pop(stream.id))

    def left(self, last_stream_id: int, code: int) -> None:
        """The client begins nothing more; what it waits for it still gets."""
        self._is_leaving = True
        if code != Code.NO_ERROR or not self._streams:
            self._close()

    def frame_spent(self) -> None:
        if self._closing or self._budget.spend(self._loop.time()):
            return
        log.warning("a flood of HTTP/2 frames", extra={"peer": self._peer.peer_address})
        self._wire.fail(Code.ENHANCE_YOUR_CALM, "a flood of frames")

    def _body_of(self, stream: Http2Stream) -> bytes:
        body, stream.body = bytes(stream.body), bytearray()
        self._uploads.over(stream.id)
        return body

    # --- answering

    def _whole(self, stream_id: int, head: RequestHead) -> None:
        """A request without a body: most of them, answered at once, need no stream."""
        if head.length:
            self.frame_spent()
            self._wire.reset(stream_id, Code.PROTOCOL_ERROR)
            return
        request, answer = self._handled(head, b"")
        if type(answer) is Response and isinstance(body := answer.body, bytes):
            passes = self._passes_at_once(head, answer.status, len(body))
            block = self._block_of(answer, len(body)) if passes else b""
            if block and len(block) < self._wire.peer_frame_bytes:
                self._wire.send_answer(stream_id, block, body)
                self._count_unsent(len(body))
                return
        stream = self._open(stream_id, head)
        stream.is_remote_ended = True
        self._give(stream, request, answer)

    def _passes_at_once(self, head: RequestHead, status: int, length: int) -> bool:
        """Whether head and body are two frames that may go now."""
        wire = self._wire
        return (
            0 < length <= wire.peer_frame_bytes
            and length <= wire.peer_stream_window
            and length <= wire.send_window
            and self._is_writable
            and head.method != "HEAD"
            and status not in _BODILESS
        )

    def _block_of(self, answer: Response | StreamResponse, length: int | None) -> bytes:
        try:
            return encode_answer(answer.status, answer.headers, length, answer.own_headers)
        except ValueError as error:
            log.error("bad headers of an answer", extra={"why": str(error)})
            return encode_answer(answer.status, (), length, b"")

    def _handled(
        self, head: RequestHead, body: bytes
    ) -> tuple[Request, Answer | Awaitable[Answer]]:
        request = Request(head.method, head.target, head.headers.copy(), body, self._peer)
        try:
            return request, self._server.handler(request)
        except Exception as error:  # noqa: BLE001 - a handler's bug must not end the server
            return request, self._server.failed(request, error)

    def _give(
        self, stream: Http2Stream, request: Request, answer: Answer | Awaitable[Answer]
    ) -> None:
        if type(answer) is Response and _is_small(answer):
            self._write_small(stream, answer)
            return
        work = self._complete(stream, request, answer)
        stream.task = self._server.tasks.start(work, "http answer")
        if isinstance(answer, Coroutine):  # A reset may come before the task's first step.
            stream.task.add_done_callback(lambda _: answer.close())

    async def _complete(
        self, stream: Http2Stream, request: Request, work: Answer | Awaitable[Answer]
    ) -> None:
        try:
            if isinstance(work, (Response, StreamResponse, UpgradeResponse)):
                await self._send(stream, work)
            else:
                await self._send(stream, await self._server.result(request, work))
        except ConnectionError:
            self._reset(stream, Code.CANCEL)
        except asyncio.CancelledError:
            self._reset(stream, Code.CANCEL)
            raise
        except Exception as error:  # a stream's bug: its answer has begun, so only a reset is left
            log.exception("answer failed", extra={"path": request.raw_path}, exc_info=error)
            self._reset(stream, Code.INTERNAL_ERROR)

    async def _send(self, stream: Http2Stream, answer: Answer) -> None:
        if isinstance(answer, UpgradeResponse):
            self._reset(stream, Code.HTTP_1_1_REQUIRED)
        elif isinstance(answer, StreamResponse):
            await self._write_stream(stream, answer)
        elif _is_small(answer):
            self._write_small(stream, answer)
        else:
            await self._write_pieces(stream, answer)

    def _write_small(self, stream: Http2Stream, answer: Response) -> None:
        body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
        if self._write_head(stream, answer, len(body), has_body=bool(body)):
            stream.append(body)
            self._end(stream)

    async def _write_pieces(self, stream: Http2Stream, answer: Response) -> None:
        body = answer.body
        pieces, length = ((body,), len(body)) if isinstance(body, bytes) else (body, body.length)
        if not self._write_head(stream, answer, length, has_body=bool(length)):
            return
        for piece in pieces:
            stream.write(piece)
            if not stream.flow.writable or stream.flow.closed:
                await stream.flow.drain()
            else:  # Others get their turn, as over HTTP/1.1.
                await asyncio.sleep(0)
        self._end(stream)

    async def _write_stream(self, stream: Http2Stream, answer: StreamResponse) -> None:
        if not self._write_head(stream, answer, None, has_body=True):
            return
        writer = BodyWriter(stream, stream.flow, chunked=False, stopping=self._server.stopping)
        try:
            await answer.write_body(writer)
        finally:
            writer.on_writable(None)
        self._end(stream)

    def _write_head(
        self,
        stream: Http2Stream,
        answer: Response | StreamResponse,
        length: int | None,
        *,
        has_body: bool,
    ) -> bool:
        """Whether a body follows; where none does the stream is done."""
        if stream.flow.closed:
            return False
        bodiless = answer.status in _BODILESS
        has_body = has_body and not bodiless and stream.head.method != "HEAD"
        block = self._block_of(answer, None if bodiless else length)
        stream.is_answered = True
        self._wire.send_head(stream.id, block, is_last=not has_body)
        self._ask_flush()
        if not has_body:
            stream.is_ended = True
            self._done(stream)
        return has_body

    def _end(self, stream: Http2Stream) -> None:
        """Nothing more is written: the stream ends when what waits is sent."""
        if stream.flow.closed or stream.is_ended:
            return
        stream.is_ended = True
        if stream.pending_bytes:
            self.send_pending(stream)
        else:
            self._wire.send_data(stream, b"", is_last=True)
            self._ask_flush()
            self._done(stream)

    # --- ends

    def _reject(self, stream: Http2Stream, status: int, why: str) -> None:
        """Answer before the request is whole; the rest of it is not wanted."""
        self._body_of(stream)
        self._write_small(stream, self._server.error_response(status, why))

    def _done(self, stream: Http2Stream) -> None:
        """All of the answer is on its way.

        A client that still sends gets to read it: curl and Node drop what comes before a reset.
        """
        self._forget(stream)
        stream.flow.close()
        if not stream.is_remote_ended:
            self._wire.forget(stream.id)
            self._loop.call_later(LINGER_SECONDS, self._want_no_more, stream.id)

    def _want_no_more(self, stream_id: int) -> None:
        if not self._closing:
            self._wire.reset(stream_id, Code.NO_ERROR)
            self._ask_flush()

    def drop(self, stream: Http2Stream) -> None:
        self._reset(stream, Code.INTERNAL_ERROR)

    def _reset(self, stream: Http2Stream, code: Code) -> None:
        if self._streams.get(stream.id) is not stream:
            return
        self._body_of(stream)
        self._forget(stream)
        if not self._closing:
            self._wire.reset(stream.id, code)
            self._ask_flush()
        stream.flow.close()
        if stream.task is not None and stream.task is not asyncio.current_task():
            stream.task.cancel()

    def _forget(self, stream: Http2Stream) -> None:
        self._streams.pop(stream.id, None)
        self._blocked.pop(stream.id, None)
        self._uploads.over(stream.id)
        if not self._streams:
            self.idle_since = self._server.now
            if self._is_leaving:
                self._loop.call_soon(self._close)

    def leave(self) -> None:
        """Tell the client to open another connection, and close this one when nothing is left."""
        if not self._is_leaving and not self._closing:
            self._is_leaving = True
            self._wire.go_away()
            self._flush()
        if not self._streams:
            self._close()

    def _close(self) -> None:
        if not self._closing:
            self._flush()
            self._closing = True
            self._close_streams()
            self._transport.close()

    def _close_streams(self) -> None:
        streams = list(self._streams.values())
        self._streams.clear()
        self._blocked.clear()
        for stream in streams:
            stream.close()

    @property
    def is_idle(self) -> bool:
        return not any(stream.is_remote_ended for stream in self._streams.values())

    def close_idle(self) -> None:
        """Close now if nothing is being answered; when the server stops, as soon as that is so."""
        if self.is_idle:
            self.leave()  # A client that begins something meanwhile knows that it was not seen.
            self._close()
        elif self._server.is_stopping:
            self.leave()

    def abort(self) -> None:
        self._closing = True
        self._transport.abort()


def _is_small(answer: Response) -> bool:
    return isinstance(answer.body, bytes) and len(answer.body) <= PIECE_BYTES_MAX
