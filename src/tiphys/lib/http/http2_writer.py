"""Frames of HTTP/2 as bytes, kept until they are sent. Source: RFC 9113, section 6."""

import struct
from typing import Final

from tiphys.lib.http.http2_codes import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES_DEFAULT,
    HEADERS,
    PING,
    WINDOW_BYTES_DEFAULT,
)

HEADER: Final = struct.Struct(">HBBBI")  # Length in two parts, type, flags, stream.


class WireStream:
    """What the wire knows of a stream; owners add their own."""

    __slots__ = ("id", "is_local_ended", "is_remote_ended", "receive_window", "send_window")

    def __init__(self, stream_id: int, send_window: int, receive_window: int) -> None:
        self.id = stream_id
        self.send_window = send_window
        self.receive_window = receive_window
        self.is_remote_ended = False  # Nothing more will come on it.
        self.is_local_ended = False  # Nothing more will be sent on it.


class FrameWriter:
    """What the other side allows, and what waits to go there."""

    def __init__(self) -> None:
        self.send_window = WINDOW_BYTES_DEFAULT
        self.peer_stream_window = WINDOW_BYTES_DEFAULT
        self.peer_frame_bytes = FRAME_BYTES_DEFAULT
        self.table_update = b""  # Goes before the next head's fields.
        self._out: list[bytes | memoryview] = []

    def take(self) -> bytes:
        """The bytes to send now."""
        out, self._out = self._out, []
        return b"".join(out)

    def send_head(self, stream_id: int, block: bytes, *, is_last: bool) -> None:
        """A head, whole; `block` is encoded with hpack.encode."""
        if self.table_update:
            block, self.table_update = self.table_update + block, b""
        flags = END_STREAM if is_last else 0
        if len(block) <= self.peer_frame_bytes:
            self.frame(HEADERS, flags | END_HEADERS, stream_id, block)
            return
        kind, size = HEADERS, self.peer_frame_bytes
        for at in range(0, len(block), size):
            if at + size >= len(block):
                flags |= END_HEADERS
            self.frame(kind, flags, stream_id, block[at : at + size])
            kind, flags = CONTINUATION, 0

    def send_data(self, stream: WireStream, data: bytes | memoryview, *, is_last: bool) -> None:
        """One frame, within both windows and the peer's size of frames."""
        size = len(data)
        stream.send_window -= size
        self.send_window -= size
        if is_last:
            stream.is_local_ended = True
        self._out.append(
            HEADER.pack(size >> 8, size & 255, DATA, END_STREAM if is_last else 0, stream.id)
        )
        if size:
            self._out.append(data)

    def send_answer(self, stream_id: int, block: bytes, body: bytes) -> None:
        """Head and body of a stream that the owner does not keep; both windows let it pass."""
        if self.table_update:
            block, self.table_update = self.table_update + block, b""
        size = len(block)
        head = HEADER.pack(size >> 8, size & 255, HEADERS, END_HEADERS, stream_id)
        size = len(body)
        self.send_window -= size
        data = HEADER.pack(size >> 8, size & 255, DATA, END_STREAM, stream_id)
        self._out += (head, block, data, body)

    def ping(self, data: bytes) -> None:
        """data: 8 bytes, which come back."""
        self.frame(PING, 0, 0, data)

    def frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._out.append(HEADER.pack(size >> 8, size & 255, kind, flags, stream_id))
        if payload:
            self._out.append(payload)
