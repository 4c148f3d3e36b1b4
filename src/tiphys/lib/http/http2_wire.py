"""Frames of one HTTP/2 connection, without its socket: what came in is told, what goes out is kept.

    wire = Wire(owner, limits, is_server=True)   # owner: begin, data, ended, reset, ...
    transport.write(wire.take())                 # the preface
    wire.receive(data)                           # calls the owner; raises WireError
    transport.write(wire.take())

Windows, settings, pings and the state of streams are kept here; what heads and bodies mean is for
the owner. A WireError has its GOAWAY among the bytes to send. Source: RFC 9113.
"""

import struct
from dataclasses import dataclass
from typing import Final, Protocol

from tiphys.lib.http.hpack import Decoder, HeadTooLarge, HpackError
from tiphys.lib.http.http2_codes import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES_DEFAULT,
    GOAWAY,
    HEADER_BYTES,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_BYTES_DEFAULT,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Code,
    Setting,
)
from tiphys.lib.http.http2_writer import HEADER, FrameWriter, WireStream

CONTINUATIONS_MAX: Final = 64  # A head of 1 MB in frames of 16 KB (CVE-2024-27316).
# Streams that we reset, remembered for frames that were under way.
RESET_STREAMS_MAX: Final = 1024
_WINDOW_BYTES_MAX: Final = (1 << 31) - 1
_FRAME_BYTES_MAX: Final = (1 << 24) - 1
_NUMBER: Final = struct.Struct(">I")
_SETTING: Final = struct.Struct(">HI")


class WireError(Exception):
    """The connection is over; its last words are among the bytes to send."""


@dataclass(frozen=True, slots=True)
class WireLimits:
    """What we announce."""

    streams_max: int
    head_bytes_max: int
    stream_window_bytes: int
    connection_window_bytes: int
    frame_bytes_max: int = FRAME_BYTES_DEFAULT


class Owner(Protocol):
    """Who is told. Streams are those of `Wire.streams`, which the owner fills."""

    def head_received(self, stream_id: int, block: bytes, *, is_last: bool) -> None:
        """A first head of a stream, or one behind its body. Decode the block, always."""

    def data_received_on(self, stream: WireStream, data: bytes, size: int) -> None:
        """size: with padding; give it back to the windows with `Wire.consumed`."""

    def stream_ended(self, stream: WireStream) -> None:
        """The other side sends nothing more on it."""

    def stream_reset(self, stream: WireStream, code: int) -> None: ...

    def window_opened(self, stream: WireStream | None) -> None:
        """None: the connection's, or all."""

    def left(self, last_stream_id: int, code: int) -> None:
        """GOAWAY came."""

    def frame_spent(self) -> None:
        """A frame came that asks for nothing."""


class Wire(FrameWriter):
    """See the module."""

    def __init__(self, owner: Owner, limits: WireLimits, *, is_server: bool) -> None:
        super().__init__()
        self._owner = owner
        self._limits = limits
        self._is_server = is_server
        self.decoder = Decoder(limits.head_bytes_max)
        self.streams: dict[int, WireStream] = {}
        self.highest_id = 0  # Of the streams that the client has begun.
        self.peer_streams_max = 100  # Until it says more: section 6.5.2 recommends as many.
        self._receive_window = limits.connection_window_bytes
        self._to_give_back = 0
        self._reset_ids: dict[int, None] = {}
        self._received = b""
        self._preface_left = PREFACE if is_server else b""
        self._has_settings = False
        self._block: list[bytes] = []  # Of a head whose end has not come.
        self._block_stream = 0
        self._block_is_last = False
        self._start()

    def _start(self) -> None:
        limits = self._limits
        wanted = [
            (Setting.MAX_CONCURRENT_STREAMS, limits.streams_max),
            (Setting.INITIAL_WINDOW_SIZE, limits.stream_window_bytes),
            (Setting.MAX_FRAME_SIZE, limits.frame_bytes_max),
            (Setting.MAX_HEADER_LIST_SIZE, limits.head_bytes_max),
        ]
        if not self._is_server:
            self._out.append(PREFACE)
            wanted[0] = (Setting.ENABLE_PUSH, 0)
        self.frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in wanted))
        more = limits.connection_window_bytes - WINDOW_BYTES_DEFAULT
        if more > 0:
            self.frame(WINDOW_UPDATE, 0, 0, _NUMBER.pack(more))

    # --- what goes out

    def reset(self, stream_id: int, code: Code) -> None:
        """End a stream at once; what still comes on it is not looked at."""
        self.frame(RST_STREAM, 0, stream_id, _NUMBER.pack(code))
        self.forget(stream_id)

    def forget(self, stream_id: int) -> None:
        """The stream is over for us; frames under way are passed over."""
        self.streams.pop(stream_id, None)
        if len(self._reset_ids) >= RESET_STREAMS_MAX:
            del self._reset_ids[next(iter(self._reset_ids))]
        self._reset_ids[stream_id] = None

    def go_away(self, code: Code = Code.NO_ERROR) -> None:
        last = self.highest_id if self._is_server else 0
        self.frame(GOAWAY, 0, 0, _NUMBER.pack(last) + _NUMBER.pack(code))

    def consumed(self, stream: WireStream | None, size: int) -> None:
        """Bytes of a body were used: the windows open again, half of each at a time."""
        self._to_give_back += size
        if self._to_give_back * 2 >= self._limits.connection_window_bytes:
            self.frame(WINDOW_UPDATE, 0, 0, _NUMBER.pack(self._to_give_back))
            self._receive_window += self._to_give_back
            self._to_give_back = 0
        if stream is None or stream.is_remote_ended:
            return
        used = self._limits.stream_window_bytes - stream.receive_window
        if used * 2 >= self._limits.stream_window_bytes:
            self.open_window(stream, used)

    def open_window(self, stream: WireStream, size: int) -> None:
        """Let the other side send so much more on a stream."""
        stream.receive_window += size
        self.frame(WINDOW_UPDATE, 0, stream.id, _NUMBER.pack(size))

    # --- what comes in

    def receive(self, data: bytes) -> None:
        """Raises WireError when the connection cannot go on; take() has the last words."""
        if self._received:
            data, self._received = self._received + data, b""
        at, end = 0, len(data)
        if self._preface_left:
            at = self._read_preface(data)
        frame_bytes_max = self._limits.frame_bytes_max
        while end - at >= HEADER_BYTES:
            high, low, kind, flags, stream_id = HEADER.unpack_from(data, at)
            size = (high << 8) + low
            if size > frame_bytes_max:
                self.fail(Code.FRAME_SIZE_ERROR, f"a frame of {size} bytes")
            start = at + HEADER_BYTES
            if end - start < size:
                break
            at = start + size
            self._frame_received(kind, flags, stream_id & 0x7FFFFFFF, data[start:at])
        if at < end:
            self._received = data[at:]

    def _read_preface(self, data: bytes) -> int:
        wanted = self._preface_left
        size = min(len(wanted), len(data))
        if data[:size] != wanted[:size]:
            self.fail(Code.PROTOCOL_ERROR, "not the preface of HTTP/2")
        self._preface_left = wanted[size:]
        return size

    def _frame_received(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block_stream and (kind != CONTINUATION or stream_id != self._block_stream):
            self.fail(Code.PROTOCOL_ERROR, "a head that was not ended")
        if not self._has_settings and (kind != SETTINGS or flags & ACK):
            self.fail(Code.PROTOCOL_ERROR, "no settings at the start")
        if kind == HEADERS:
            self._head(flags, stream_id, payload)
        elif kind == DATA:
            self._data(flags, stream_id, payload)
        elif kind == WINDOW_UPDATE:
            self._window_update(stream_id, payload)
        elif kind == RST_STREAM:
            self._reset_received(stream_id, payload)
        elif kind == SETTINGS:
            self._settings(flags, stream_id, payload)
        elif kind == PING:
            self._ping(flags, stream_id, payload)
        elif kind == CONTINUATION:
            self._continuation(flags, stream_id, payload)
        elif kind == GOAWAY:
            self._go_away(stream_id, payload)
        elif kind == PRIORITY:
            self._priority(stream_id, payload)
        elif kind == PUSH_PROMISE:  # Clients may not, servers were told not to.
            self.fail(Code.PROTOCOL_ERROR, "a push")
        else:
            self._owner.frame_spent()  # Unknown kinds are passed over: section 5.5.

    def _head(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & (PADDED | WITH_PRIORITY):
            payload = self._without_extras(flags, payload, stream_id)
        if not stream_id:
            self.fail(Code.PROTOCOL_ERROR, "a head of no stream")
        is_last = bool(flags & END_STREAM)
        if not flags & END_HEADERS:
            self._block = [payload]
            self._block_stream = stream_id
            self._block_is_last = is_last
            return
        self._head_whole(stream_id, payload, is_last=is_last)

    def _head_whole(self, stream_id: int, block: bytes, *, is_last: bool) -> None:
        stream = self.streams.get(stream_id)
        if stream is None:
            self._check_new(stream_id, block)
            if stream_id in self._reset_ids:
                return
        elif stream.is_remote_ended:
            self.fail(Code.STREAM_CLOSED, f"a head on stream {stream_id}, which had ended")
        elif self._is_server and not is_last:
            self.fail(Code.PROTOCOL_ERROR, f"stream {stream_id} has two heads")
        self._owner.head_received(stream_id, block, is_last=is_last)
        if is_last and stream is not None:
            self._ended(stream)

    def _check_new(self, stream_id: int, block: bytes) -> None:
        """A head of a stream that is not known."""
        if stream_id in self._reset_ids:
            self.fields_of(block)  # The table must see it.
            self._owner.frame_spent()
        elif not self._is_server:
            self.fail(Code.PROTOCOL_ERROR, f"an answer on stream {stream_id}: nothing was asked")
        elif stream_id <= self.highest_id:
            self.fail(Code.STREAM_CLOSED, f"stream {stream_id} is closed")
        elif not stream_id & 1:
            self.fail(Code.PROTOCOL_ERROR, f"stream {stream_id} is not a client's")
        elif len(self.streams) >= self._limits.streams_max:
            self.highest_id = stream_id
            self.fields_of(block)
            self._owner.frame_spent()
            self.reset(stream_id, Code.REFUSED_STREAM)
        else:
            self.highest_id = stream_id

    def fields_of(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """Raises WireError."""
        try:
            return self.decoder.decode(block)
        except HeadTooLarge as error:
            self.fail(Code.ENHANCE_YOUR_CALM, str(error))
        except HpackError as error:
            self.fail(Code.COMPRESSION_ERROR, str(error))
        raise AssertionError("fail returns never")

    def _continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not self._block_stream:
            self.fail(Code.PROTOCOL_ERROR, "the rest of no head")
        self._block.append(payload)
        size = sum(map(len, self._block))
        if len(self._block) > CONTINUATIONS_MAX or size > self._limits.head_bytes_max:
            self.fail(Code.ENHANCE_YOUR_CALM, "a head without an end")
        if flags & END_HEADERS:
            block, self._block = b"".join(self._block), []
            self._block_stream = 0
            self._head_whole(stream_id, block, is_last=self._block_is_last)

    def _data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._receive_window -= size
        if self._receive_window < 0:
            self.fail(Code.FLOW_CONTROL_ERROR, "more than the connection's window")
        if flags & PADDED:
            payload = self._without_extras(flags & PADDED, payload, stream_id)
        stream = self.streams.get(stream_id)
        if stream is None or stream.is_remote_ended:
            self._data_of_none(stream, stream_id, size)
            return
        stream.receive_window -= size
        if stream.receive_window < 0:
            self.fail(Code.FLOW_CONTROL_ERROR, f"more than the window of stream {stream_id}")
        is_last = bool(flags & END_STREAM)
        if not payload and not is_last:
            self._owner.frame_spent()
        self._owner.data_received_on(stream, payload, size)
        if is_last and stream_id in self.streams:
            self._ended(stream)

    def _data_of_none(self, stream: WireStream | None, stream_id: int, size: int) -> None:
        if stream is None and stream_id in self._reset_ids:
            self.consumed(None, size)
            return
        idle = stream is None and (not stream_id or stream_id > self.highest_id)
        code = Code.PROTOCOL_ERROR if idle else Code.STREAM_CLOSED
        self.fail(code, f"data on stream {stream_id}, which is not open")

    def _ended(self, stream: WireStream) -> None:
        stream.is_remote_ended = True
        self._owner.stream_ended(stream)

    def _without_extras(self, flags: int, payload: bytes, stream_id: int) -> bytes:
        """Without padding and priority (sections 6.1, 6.2)."""
        start = 1 if flags & PADDED else 0
        padding = payload[0] if start and payload else 0
        if flags & WITH_PRIORITY:
            if len(payload) < start + 5:
                self.fail(Code.FRAME_SIZE_ERROR, "a head too short for its priority")
            self._check_dependency(stream_id, payload[start : start + 4])
            start += 5
        if start + padding > len(payload) or (flags & PADDED and not payload):
            self.fail(Code.PROTOCOL_ERROR, "more padding than there is")
        return payload[start : len(payload) - padding]

    def _check_dependency(self, stream_id: int, number: bytes) -> None:
        if _NUMBER.unpack(number)[0] & 0x7FFFFFFF == stream_id:
            self.fail(Code.PROTOCOL_ERROR, f"stream {stream_id} depends on itself")

    def _window_update(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            self.fail(Code.FRAME_SIZE_ERROR, "a window of no size")
        size = _NUMBER.unpack(payload)[0] & 0x7FFFFFFF
        if not stream_id:
            self.send_window += size
            if not size or self.send_window > _WINDOW_BYTES_MAX:
                code = Code.FLOW_CONTROL_ERROR if size else Code.PROTOCOL_ERROR
                self.fail(code, f"the connection's window opened by {size}")
            self._owner.window_opened(None)
            return
        stream = self._known(stream_id)
        if stream is None:
            return
        stream.send_window += size
        if not size or stream.send_window > _WINDOW_BYTES_MAX:
            code = Code.FLOW_CONTROL_ERROR if size else Code.PROTOCOL_ERROR
            self._owner.frame_spent()  # It makes us reset, as often as a client likes.
            self.reset(stream_id, code)
            self._owner.stream_reset(stream, code)
            return
        self._owner.window_opened(stream)

    def _known(self, stream_id: int) -> WireStream | None:
        """None for a stream that is over. One that never was ends the connection."""
        stream = self.streams.get(stream_id)
        if stream is None and (not stream_id or stream_id > self.highest_id):
            self.fail(Code.PROTOCOL_ERROR, f"stream {stream_id} was never begun")
        return stream

    def _reset_received(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            self.fail(Code.FRAME_SIZE_ERROR, "a reset without its reason")
        stream = self._known(stream_id)
        self._owner.frame_spent()
        if stream is not None:
            self.forget(stream_id)
            self._owner.stream_reset(stream, _NUMBER.unpack(payload)[0])

    def _settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            self.fail(Code.PROTOCOL_ERROR, "settings of a stream")
        if len(payload) % 6 or (flags & ACK and payload):
            self.fail(Code.FRAME_SIZE_ERROR, "settings that are cut off")
        self._has_settings = True
        if flags & ACK:
            return
        for number, value in dict(_SETTING.iter_unpack(payload)).items():  # The last one counts.
            self._set(number, value)
        self.frame(SETTINGS, ACK, 0, b"")
        self._owner.frame_spent()
        self._owner.window_opened(None)

    def _set(self, number: int, value: int) -> None:
        if number == Setting.INITIAL_WINDOW_SIZE:
            self._resize_windows(value)
        elif number == Setting.MAX_FRAME_SIZE:
            if not FRAME_BYTES_DEFAULT <= value <= _FRAME_BYTES_MAX:
                self.fail(Code.PROTOCOL_ERROR, f"frames of {value} bytes")
            self.peer_frame_bytes = value
        elif number == Setting.MAX_CONCURRENT_STREAMS:
            self.peer_streams_max = value
        elif number == Setting.HEADER_TABLE_SIZE:
            # Ours is empty; a decoder that shrank its own waits to hear it (RFC 7541, 4.2).
            self.table_update = b"\x20"
        elif number == Setting.ENABLE_PUSH and value > 1:
            self.fail(Code.PROTOCOL_ERROR, f"push is {value}")

    def _resize_windows(self, size: int) -> None:
        more = size - self.peer_stream_window
        self.peer_stream_window = size
        for stream in self.streams.values():
            stream.send_window += more
        if size > _WINDOW_BYTES_MAX or any(
            s.send_window > _WINDOW_BYTES_MAX for s in self.streams.values()
        ):
            self.fail(Code.FLOW_CONTROL_ERROR, f"windows of {size} bytes")

    def _ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            self.fail(Code.PROTOCOL_ERROR, "a ping of a stream")
        if len(payload) != 8:
            self.fail(Code.FRAME_SIZE_ERROR, "a ping without its 8 bytes")
        if not flags & ACK:
            self.frame(PING, ACK, 0, payload)
            self._owner.frame_spent()

    def _go_away(self, stream_id: int, payload: bytes) -> None:
        if stream_id:
            self.fail(Code.PROTOCOL_ERROR, "a farewell of a stream")
        if len(payload) < 8:
            self.fail(Code.FRAME_SIZE_ERROR, "a farewell that is cut off")
        last, code = _NUMBER.unpack_from(payload)[0], _NUMBER.unpack_from(payload, 4)[0]
        self._owner.left(last & 0x7FFFFFFF, code)

    def _priority(self, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            self.fail(Code.PROTOCOL_ERROR, "a priority of no stream")
        if len(payload) != 5:
            self.fail(Code.FRAME_SIZE_ERROR, "a priority that is cut off")
        self._check_dependency(stream_id, payload[:4])
        self._owner.frame_spent()

    def fail(self, code: Code, why: str) -> None:
        """Say goodbye for a reason. Raises WireError."""
        self.go_away(code)
        raise WireError(why)
