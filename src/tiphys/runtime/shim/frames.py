"""The frames between the runtime and a shim: one socket, several channels.

    u32 length of the payload | u8 channel | payload          (network byte order)

Channel CONTROL carries JSON objects; the others carry bytes of a process. An empty STDIN frame
means the end of the input; RESIZE carries {"columns", "rows"}. Pure: both ends feed bytes in.
"""

import json
import struct
from collections.abc import Iterator
from typing import Any, Final

CONTROL, STDIN, STDOUT, STDERR, RESIZE = 0, 1, 2, 3, 4
FRAME_BYTES_MAX: Final = 16 << 20  # A start request carries the environment: some MB at most.
HEADER: Final = struct.Struct("!IB")


class FrameError(ValueError):
    """The other end does not speak this protocol."""


def pack(channel: int, payload: bytes) -> bytes:
    return HEADER.pack(len(payload), channel) + payload


def pack_control(message: dict[str, Any]) -> bytes:
    return pack(CONTROL, json.dumps(message).encode())


class FrameReader:
    """Takes bytes as they come, gives whole frames."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Frames that are complete now. Raises: FrameError for one that is too long."""
        self._data += data
        while len(self._data) >= HEADER.size:
            length, channel = HEADER.unpack_from(self._data)
            if length > FRAME_BYTES_MAX:
                raise FrameError(f"frame of {length} bytes")
            end = HEADER.size + length
            if len(self._data) < end:
                return
            payload = bytes(self._data[HEADER.size : end])
            del self._data[:end]
            yield channel, payload
