"""What an HTTP/2 connection still has to send: bodies that wait for windows, and the socket."""

import asyncio
from abc import ABC, abstractmethod
from typing import Any, Final

from tiphys.lib.http.http2_stream import Http2Stream
from tiphys.lib.http.http2_wire import Wire

PIECE_BYTES_MAX: Final = 64 * 1024  # Written at once; see connection.py.


class Outbox(ABC):
    """The sending half of a connection, which fills in the transport."""

    _wire: Wire

    def __init__(self) -> None:
        self._transport: Any = None
        self._loop = asyncio.get_running_loop()
        self._blocked: dict[int, Http2Stream] = {}  # With bytes that wait, in their turn.
        self._is_writable = True
        self._unsent_bytes = 0  # Of bodies, in frames that are not written yet.
        self._flush_asked = False
        self._closing = False

    @abstractmethod
    def _done(self, stream: Http2Stream) -> None:
        """All of an answer is on its way."""

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
            wire = self._wire
            size = min(stream.send_window, wire.send_window, wire.peer_frame_bytes)
        if size <= 0:
            self._blocked[stream.id] = stream
            return False
        piece = stream.take(size)
        last = stream.is_ended and not stream.pending_bytes
        self._wire.send_data(stream, piece, is_last=last)
        self._count_unsent(len(piece))
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

    def _count_unsent(self, size: int) -> None:
        self._unsent_bytes += size
        if self._unsent_bytes >= PIECE_BYTES_MAX:
            self._flush()
        else:
            self._ask_flush()

    def _ask_flush(self) -> None:
        """Write once for all that this turn of the loop makes."""
        if not self._flush_asked:
            self._flush_asked = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_asked = False
        self._unsent_bytes = 0
        if not self._transport.is_closing() and (data := self._wire.take()):
            self._transport.write(data)
