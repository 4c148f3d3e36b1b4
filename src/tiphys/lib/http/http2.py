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
from typing import TYPE_CHECKING, Any, Final

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingReceived,
    PriorityUpdated,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from hyperframe.frame import GoAwayFrame

from tiphys.lib.http.flow import BodyWriter
from tiphys.lib.http.frame_budget import FrameBudget
from tiphys.lib.http.http2_frames import make_frames
from tiphys.lib.http.http2_head import (
    MalformedHead,
    RequestHead,
    decode_head,
    encode_fields,
)
from tiphys.lib.http.http2_stream import Http2Stream
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

PIECE_BYTES_MAX: Final = 64 * 1024  # Written at once; see connection.py.
CONNECTION_WINDOW_BYTES: Final = 1 << 20  # x/net/http2 Server.MaxUploadBufferPerConnection
# Of all requests that are not whole yet: as many of them as there are streams would be 750 MB.
UPLOAD_BYTES_MAX: Final = 32 << 20
FEED_BYTES: Final = 16 * 1024  # Read at once: small frames in it are checked before the next.
_BODILESS: Final = frozenset({204, 304})  # RFC 9110 section 6.4.1


class Http2Connection(asyncio.Protocol):
    """See the module. Lives as long as its socket; `HttpServer` holds all of them."""

    def __init__(self, server: "HttpServer") -> None:
        self._server = server
        self._limits = server.limits
        self._transport: Any = None
        self._loop = asyncio.get_running_loop()
        self._peer = Peer()
        self._streams: dict[int, Http2Stream] = {}
        self._blocked: dict[int, Http2Stream] = {}  # With bytes that wait, in their turn.
        self._upload_bytes = 0
        self._budget = FrameBudget(self._loop.time())
        self._is_writable = True
        self._unsent_bytes = 0  # Of bodies, in frames that are not written yet.
        self._flush_asked = False
        self._is_leaving = False  # GOAWAY is sent: what is under way ends, nothing begins.
        self._closing = False
        self.idle_since = server.now
        self._frames = make_frames(server.limits.head_bytes_max, server.limits.streams_max)

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
        self._frames.initiate_connection()
        self._frames.increment_flow_control_window(CONNECTION_WINDOW_BYTES - 65_535)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
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
        try:
            for start in range(0, len(data), FEED_BYTES):
                for event in self._frames.receive_data(data[start : start + FEED_BYTES]):
                    if self._closing:
                        return
                    self._take(event)
        except ProtocolError as error:  # The library has made the GOAWAY.
            log.info("HTTP/2 connection given up", extra={"why": str(error)})
            self._close()
            return
        self._flush()

    # --- what comes in

    def _take(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._begin(event)
            case DataReceived():
                self._read(event)
            case StreamEnded():
                stream = self._streams.get(event.stream_id)
                if stream is not None and not stream.is_answered:
                    self._answer(stream)
            case WindowUpdated():
                self._window_opened(event.stream_id)
            case StreamReset():
                self._spend()
                stream = self._streams.get(event.stream_id)
                if stream is not None:
                    self._forget(stream)
                    stream.close()
            case RemoteSettingsChanged():
                self._spend()
                self._send_blocked()
            case PingReceived() | PriorityUpdated():
                self._spend()
            case ConnectionTerminated():
                self._close()  # The client leaves, and the library sends nothing more.

    def _spend(self) -> None:
        """Count a frame that asks for nothing; a flood of them ends the connection."""
        if self._closing or self._budget.spend(self._loop.time()):
            return
        log.warning("a flood of HTTP/2 frames", extra={"peer": self._peer.peer_address})
        self._frames.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
        self._close()

    def _begin(self, event: RequestReceived) -> None:
        if self._is_leaving:
            self._frames.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
            return
        try:
            head = decode_head(event.headers)
        except MalformedHead as error:
            stream = Http2Stream(self, event.stream_id, RequestHead("GET", "/", {}, None))
            self._streams[event.stream_id] = stream
            self._reject(stream, 400, str(error))
            return
        stream = Http2Stream(self, event.stream_id, head)
        self._streams[event.stream_id] = stream
        if head.length is not None and head.length > self._limits.body_bytes_max:
            self._reject(stream, 413, f"limit is {self._limits.body_bytes_max}")
        elif head.headers.get("expect", "").lower() == "100-continue":
            self._frames.send_headers(event.stream_id, [(b":status", b"100")])

    def _read(self, event: DataReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if event.flow_controlled_length:
            self._frames.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if not event.data and event.stream_ended is None:
            self._spend()
        if stream is None or stream.is_answered or not event.data:
            return
        stream.body.append(event.data)
        stream.body_bytes += len(event.data)
        self._upload_bytes += len(event.data)
        if stream.body_bytes > self._limits.body_bytes_max:
            self._reject(stream, 413, f"limit is {self._limits.body_bytes_max}")
        elif self._upload_bytes > UPLOAD_BYTES_MAX:
            self._reset(stream, ErrorCodes.REFUSED_STREAM)  # The client may send it again.

    def _body_of(self, stream: Http2Stream) -> bytes:
        body, stream.body = stream.body, []
        self._upload_bytes -= stream.body_bytes
        stream.body_bytes = 0
        return body[0] if len(body) == 1 else b"".join(body)

    # --- answering

    def _answer(self, stream: Http2Stream) -> None:
        stream.is_whole = True
        head = stream.head
        body = self._body_of(stream)
        request = Request(head.method, head.target, head.headers, body, self._peer)
        try:
            answer = self._server.handler(request)
        except Exception as error:  # noqa: BLE001 - a handler's bug must not end the server
            answer = self._failed(request, error)
        if type(answer) is Response and _is_small(answer):
            self._write_small(stream, answer)
        else:
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
                await self._send(stream, await self._result(request, work))
        except ConnectionError:
            self._reset(stream, ErrorCodes.CANCEL)
        except asyncio.CancelledError:
            self._reset(stream, ErrorCodes.CANCEL)
            raise
        except Exception as error:  # a stream's bug: its answer has begun, so only a reset is left
            log.exception("answer failed", extra={"path": request.raw_path}, exc_info=error)
            self._reset(stream, ErrorCodes.INTERNAL_ERROR)

    async def _result(self, request: Request, work: Awaitable[Answer]) -> Answer:
        try:
            return await work
        except Exception as error:  # noqa: BLE001 - a handler's bug must not end the server
            return self._failed(request, error)

    def _failed(self, request: Request, error: Exception) -> Response:
        log.error("handler failed", extra={"path": request.raw_path}, exc_info=error)
        return self._server.error_response(500, "internal error")

    async def _send(self, stream: Http2Stream, answer: Answer) -> None:
        if isinstance(answer, UpgradeResponse):
            self._reset(stream, ErrorCodes.HTTP_1_1_REQUIRED)
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
        pieces = (answer.body,) if isinstance(answer.body, bytes) else answer.body
        length = sum(map(len, pieces))
        if not self._write_head(stream, answer, length, has_body=bool(length)):
            return
        for piece in pieces:
            stream.write(piece)
            if not stream.flow.writable or stream.flow.closed:
                await stream.flow.drain()
            elif len(piece) > PIECE_BYTES_MAX:
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
        fields = encode_fields(
            answer.status, answer.headers, None if bodiless else length, answer.own_headers
        )
        stream.is_answered = True
        self._frames.send_headers(stream.id, fields, end_stream=not has_body)
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
            self._frames.end_stream(stream.id)
            self._ask_flush()
            self._done(stream)

    # --- what goes out

    def send_pending(self, stream: Http2Stream) -> None:
        """Send what the windows and the socket let pass now."""
        if stream.is_sending:
            return  # A writer that was just told to go on: the loop below sends that too.
        stream.is_sending = True
        while self._send_frame(stream):
            pass
        stream.is_sending = False

    def _send_frame(self, stream: Http2Stream) -> bool:
        """One DATA frame. Whether the stream may have another one at once."""
        if stream.flow.closed or not stream.pending_bytes:
            self._blocked.pop(stream.id, None)
            return False
        size = 0
        if self._is_writable and not self._closing:
            window = self._frames.local_flow_control_window(stream.id)
            size = min(window, self._frames.max_outbound_frame_size)
        if size <= 0:
            self._blocked[stream.id] = stream
            return False
        piece = stream.take(size)
        last = stream.is_ended and not stream.pending_bytes
        # The library wants bytes; pieces that were not cut are them already.
        self._frames.send_data(stream.id, bytes(piece), end_stream=last)
        self._unsent_bytes += len(piece)
        if self._unsent_bytes >= PIECE_BYTES_MAX:
            self._flush()
        else:
            self._ask_flush()
        if last:
            self._done(stream)
        else:
            stream.settle()
        return stream.pending_bytes > 0

    def _send_blocked(self) -> None:
        """A frame for each stream in turn, for as long as frames pass."""
        moved = True
        while moved and self._blocked and self._is_writable:
            moved = False
            for stream in list(self._blocked.values()):
                before = stream.pending_bytes
                self._blocked.pop(stream.id, None)
                if self._send_frame(stream):
                    self._blocked[stream.id] = stream
                moved = moved or stream.pending_bytes < before

    def _window_opened(self, stream_id: int) -> None:
        if stream_id == 0:
            self._send_blocked()
        elif stream_id in self._blocked:
            self.send_pending(self._blocked.pop(stream_id))

    def _ask_flush(self) -> None:
        """Write once for all that this turn of the loop makes."""
        if not self._flush_asked:
            self._flush_asked = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_asked = False
        self._unsent_bytes = 0
        if self._transport.is_closing():
            return
        data = self._frames.data_to_send()
        if data:
            self._transport.write(data)

    # --- ends

    def _reject(self, stream: Http2Stream, status: int, why: str) -> None:
        """Answer before the request is whole; the rest of it is not wanted."""
        self._body_of(stream)
        self._write_small(stream, self._server.error_response(status, why))

    def _done(self, stream: Http2Stream) -> None:
        """All of the answer is with the library."""
        self._forget(stream)
        stream.flow.close()
        if not stream.is_whole and self._is_open(stream):
            self._frames.reset_stream(stream.id, ErrorCodes.NO_ERROR)

    def _is_open(self, stream: Http2Stream) -> bool:
        known = self._frames.streams.get(stream.id)
        return known is not None and not known.closed

    def drop(self, stream: Http2Stream) -> None:
        self._reset(stream, ErrorCodes.INTERNAL_ERROR)

    def _reset(self, stream: Http2Stream, code: ErrorCodes) -> None:
        if self._streams.get(stream.id) is not stream:
            return
        self._body_of(stream)
        if not self._closing:
            self._frames.reset_stream(stream.id, code)
            self._ask_flush()
        self._forget(stream)
        stream.flow.close()
        if stream.task is not None and stream.task is not asyncio.current_task():
            stream.task.cancel()

    def _forget(self, stream: Http2Stream) -> None:
        self._streams.pop(stream.id, None)
        self._blocked.pop(stream.id, None)
        self._upload_bytes -= stream.body_bytes
        stream.body_bytes = 0
        if not self._streams:
            self.idle_since = self._server.now
            if self._is_leaving:
                self._loop.call_soon(self._close)

    def leave(self) -> None:
        """Tell the client to open another connection, and close this one when nothing is left."""
        if not self._is_leaving and not self._closing:
            self._is_leaving = True
            self._flush()
            last = self._frames.highest_inbound_stream_id
            # Past the library: to it a connection that has sent GOAWAY can answer nothing more.
            self._transport.write(GoAwayFrame(0, last_stream_id=last).serialize())
        if not self._streams:
            self._close()

    def _close(self) -> None:
        if not self._closing:
            self._flush()
            self._closing = True
            self._close_streams()
            self._transport.close()

    def _close_streams(self) -> None:
        streams, self._streams = self._streams, {}
        self._blocked.clear()
        for stream in streams.values():
            stream.close()

    @property
    def is_idle(self) -> bool:
        return not any(stream.is_whole for stream in self._streams.values())

    def close_idle(self) -> None:
        """Close now if nothing is being answered; when the server stops, as soon as that is so."""
        if self.is_idle:
            self._close()
        elif self._server.is_stopping:
            self.leave()

    def abort(self) -> None:
        self._closing = True
        self._transport.abort()


def _is_small(answer: Response) -> bool:
    return isinstance(answer.body, bytes) and len(answer.body) <= PIECE_BYTES_MAX
