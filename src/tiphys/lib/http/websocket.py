"""WebSocket framing without I/O: bytes in, messages out; messages in, bytes out.

Both sides of RFC 6455. No extensions. A message of several frames comes out whole; its size is
bounded. `receive` answers pings and the closing handshake itself: send what `outgoing` returns.
"""

import base64
import hashlib
import struct
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
MESSAGE_BYTES_MAX: Final = 16 << 20  # Clients send stdin as one message; more is a mistake.
FRAGMENTS_MAX: Final = 1 << 16  # Of a message, empty ones too: 256 bytes in each make the largest.
CONTROL_BYTES_MAX: Final = 125  # RFC 6455 section 5.5

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

CLOSE_NORMAL: Final = 1000
CLOSE_PROTOCOL_ERROR: Final = 1002
CLOSE_TOO_BIG: Final = 1009
CLOSE_NONE: Final = 1005  # Never on the wire: the peer gave no code.


class WebSocketError(Exception):
    """The peer broke the protocol; `code` is what to close with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Message(NamedTuple):
    """TEXT, BINARY, CLOSE (data is the reason's code and text) or PONG."""

    opcode: int
    data: bytes


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept of a Sec-WebSocket-Key. Source: RFC 6455 section 4.2.2."""
    digest = hashlib.sha1(key.strip().encode("latin-1") + GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def choose_protocol(offered: str, supported: Sequence[str]) -> str | None:
    """The first of the client's Sec-WebSocket-Protocol that we speak; None when there is none."""
    return next((p for p in map(str.strip, offered.split(",")) if p in supported), None)


def encode_frame(opcode: int, data: bytes | memoryview, key: bytes = b"") -> bytes:
    """One whole message as a frame; `key` is the four bytes of a client's mask."""
    size = len(data)
    masked = 0x80 if key else 0
    if size < 126:
        head = struct.pack(">BB", 0x80 | opcode, masked | size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", 0x80 | opcode, masked | 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, masked | 127, size)
    if not key:
        return b"".join((head, data))
    return b"".join((head, key, apply_mask(bytes(data), key)))


class WebSocket:
    """One end of a connection after the handshake.

    `mask` gives four random bytes per frame and makes this the client's end: clients mask what
    they send, servers do not (RFC 6455 section 5.1).
    """

    def __init__(self, mask: Callable[[], bytes] | None = None) -> None:
        self._mask = mask
        self._buffer = bytearray()
        self._held = bytearray()  # Of a message that is not whole.
        self._fragments = 0
        self._opcode = CONTINUATION
        self._outgoing = bytearray()
        self.close_sent = False
        self.close_received = False

    def receive(self, data: bytes) -> list[Message]:
        """Complete messages. Raises WebSocketError; then send `close(error.code)` and end."""
        self._buffer += data
        messages: list[Message] = []
        at = 0
        while not self.close_received and (end := self._frame_end(at)) is not None:
            message = self._take(at, end)
            at = end
            if message is not None:
                messages.append(message)
        del self._buffer[:at]
        return messages

    def outgoing(self) -> bytes:
        """What must be sent because of what came in: pongs, the answer to a close."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def frame(self, opcode: int, data: bytes | memoryview) -> bytes:
        """One whole message as a frame."""
        return encode_frame(opcode, data, self._mask() if self._mask else b"")

    def close(self, code: int = CLOSE_NORMAL, reason: str = "") -> bytes:
        """The closing frame, once; nothing the second time."""
        if self.close_sent:
            return b""
        self.close_sent = True
        payload = struct.pack(">H", code) + reason.encode()[: CONTROL_BYTES_MAX - 2]
        return self.frame(CLOSE, payload)

    def _frame_end(self, at: int) -> int | None:
        """Where the frame that begins at `at` ends, or None while it is incomplete."""
        buffer = self._buffer
        have = len(buffer) - at
        if have < 2:
            return None
        short = buffer[at + 1] & 0x7F
        head = 2 + (0 if short < 126 else 2 if short == 126 else 8)
        head += 4 if buffer[at + 1] & 0x80 else 0
        if have < head:
            return None
        size = short
        if short == 126:
            size = int.from_bytes(buffer[at + 2 : at + 4], "big")
        elif short == 127:
            size = int.from_bytes(buffer[at + 2 : at + 10], "big")
        self._check_head(buffer[at], buffer[at + 1], size)
        return at + head + size if have >= head + size else None

    def _check_head(self, first: int, second: int, size: int) -> None:
        opcode = first & 0x0F
        if first & 0x70:
            raise WebSocketError(CLOSE_PROTOCOL_ERROR, "reserved bits are set")
        if bool(second & 0x80) == (self._mask is not None):
            raise WebSocketError(CLOSE_PROTOCOL_ERROR, "frames must be masked by the client only")
        if opcode >= CLOSE:
            if opcode > PONG or not first & 0x80 or size > CONTROL_BYTES_MAX:
                raise WebSocketError(CLOSE_PROTOCOL_ERROR, "malformed control frame")
        elif opcode > BINARY:
            raise WebSocketError(CLOSE_PROTOCOL_ERROR, f"unknown opcode {opcode}")
        elif (opcode == CONTINUATION) != (self._opcode != CONTINUATION):
            raise WebSocketError(CLOSE_PROTOCOL_ERROR, "continuation out of order")
        elif size + len(self._held) > MESSAGE_BYTES_MAX:
            raise WebSocketError(CLOSE_TOO_BIG, f"a message is over {MESSAGE_BYTES_MAX} bytes")
        elif self._fragments >= FRAGMENTS_MAX:
            raise WebSocketError(CLOSE_TOO_BIG, f"a message is over {FRAGMENTS_MAX} fragments")

    def _take(self, at: int, end: int) -> Message | None:
        buffer = self._buffer
        first, second = buffer[at], buffer[at + 1]
        short = second & 0x7F
        start = at + 2 + (0 if short < 126 else 2 if short == 126 else 8)
        if second & 0x80:
            key = bytes(buffer[start : start + 4])
            payload = apply_mask(bytes(buffer[start + 4 : end]), key)
        else:
            payload = bytes(buffer[start:end])
        if first & 0x0F >= CLOSE:
            return self._control(first & 0x0F, payload)
        return self._data(first & 0x0F, payload, final=bool(first & 0x80))

    def _control(self, opcode: int, payload: bytes) -> Message | None:
        if opcode == PING:
            self._outgoing += self.frame(PONG, payload)
            return None
        if opcode == CLOSE:
            self.close_received = True
            self._outgoing += self.close(close_code(payload, CLOSE_NORMAL))
        return Message(opcode, payload)

    def _data(self, opcode: int, payload: bytes, *, final: bool) -> Message | None:
        if opcode != CONTINUATION:
            if final:
                return Message(opcode, payload)
            self._opcode = opcode
        self._held += payload
        self._fragments += 1
        if not final:
            return None
        message = Message(self._opcode, bytes(self._held))
        self._held = bytearray()
        self._fragments = 0
        self._opcode = CONTINUATION
        return message


def apply_mask(data: bytes, key: bytes) -> bytes:
    """Mask or unmask. One big XOR: a loop over bytes costs a hundred times more."""
    size = len(data)
    if not size:
        return b""
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")


def close_code(payload: bytes, default: int = CLOSE_NONE) -> int:
    """The code in a CLOSE message's data."""
    return int.from_bytes(payload[:2], "big") if len(payload) >= 2 else default
