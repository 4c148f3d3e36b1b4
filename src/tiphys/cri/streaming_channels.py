"""What exec, attach and port-forward talk through, whatever protocol the client speaks.

A `Pipe` carries one direction within this process and is bounded: who writes waits for who reads.
"""

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from tiphys.api.meta import Obj

PIPE_BYTES_MAX: Final = 256 * 1024  # Unread bytes of one channel before its writer waits.
RESIZE_BYTES_MAX: Final = 4096  # Undecoded bytes of terminal sizes; one size has 30.

# Values of the streamType header. Upstream: api/core/v1 StreamType*.
ERROR, STDIN, STDOUT, STDERR, RESIZE, DATA = "error", "stdin", "stdout", "stderr", "resize", "data"


class Raw(Protocol):
    """The bytes of an upgraded connection."""

    async def read(self) -> bytes: ...
    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...
    def close(self) -> None: ...


class ByteReader(Protocol):
    async def read(self) -> bytes:
        """The next bytes, whatever their number; empty at the end."""
        ...


class ByteWriter(Protocol):
    async def write(self, data: bytes) -> None:
        """Waits until the peer takes bytes. Raises ConnectionResetError once it is gone."""
        ...


class Duplex(ByteReader, ByteWriter, Protocol):
    """Both directions of one forwarded connection."""

    async def close_write(self) -> None:
        """No more will be written; reading goes on."""
        ...


class TerminalSize(NamedTuple):
    width: int
    height: int


class Pipe:
    """Bytes from one coroutine to another."""

    def __init__(self, bytes_max: int = PIPE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._changed = asyncio.Event()

    async def put(self, data: bytes) -> None:
        """Add data once there is room; what comes after the end is dropped."""
        while self._size >= self._bytes_max and not self._ended:
            await self._wait()
        if data and not self._ended:
            self._chunks.append(data)
            self._size += len(data)
            self._changed.set()

    async def read(self) -> bytes:
        while not self._chunks and not self._ended:
            await self._wait()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        self._changed.set()
        return data

    def end(self) -> None:
        """No more comes: the reader gets what is there, then the end."""
        self._ended = True
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class ResizeChannel:
    """The newest terminal size that the client sent; older ones are of no use."""

    def __init__(self) -> None:
        self._buffer = ""
        self._newest: TerminalSize | None = None
        self._ended = False
        self._changed = asyncio.Event()

    def feed(self, data: bytes) -> None:
        """JSON documents one after the other, cut anywhere."""
        self._buffer = (self._buffer + data.decode("utf-8", "replace"))[-RESIZE_BYTES_MAX:]
        decoder = json.JSONDecoder()
        while text := self._buffer.lstrip():
            try:
                found, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                break
            self._buffer = text[end:]
            self._take(found)

    def _take(self, found: object) -> None:
        if isinstance(found, dict):
            width, height = found.get("Width"), found.get("Height")
            if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
                # struct winsize has 16 bits for each.
                self._newest = TerminalSize(min(width, 0xFFFF), min(height, 0xFFFF))
                self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def next(self) -> TerminalSize | None:
        """The next size; None when no more will come."""
        while self._newest is None:
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        size, self._newest = self._newest, None
        return size


@dataclass(frozen=True, slots=True)
class Streams:
    """What one exec or attach is joined to; None where the client did not ask for it."""

    stdin: ByteReader | None
    stdout: ByteWriter | None
    stderr: ByteWriter | None
    resize: ResizeChannel
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client has left."""


class StreamHandlers(Protocol):
    """What a runtime does behind its streaming URLs. A CriError becomes the client's error."""

    async def exec(
        self, container_id: str, command: list[str], *, tty: bool, streams: Streams
    ) -> int:
        """Run command in the container until it ends; returns its exit code."""
        ...

    async def attach(self, container_id: str, *, tty: bool, streams: Streams) -> None:
        """Join the streams to the container's main process until it ends or the client leaves."""
        ...

    async def port_forward(self, sandbox_id: str, port: int, stream: Duplex) -> None:
        """Join stream to the port on the sandbox's loopback until both directions ended."""
        ...


def success_status() -> Obj:
    return {"metadata": {}, "status": "Success"}


def exit_status(command: list[str], code: int) -> Obj:
    """The metav1.Status that ends an exec. Source: cri/streaming remotecommand/exec.go."""
    if code == 0:
        return success_status()
    shown = f"error executing command [{' '.join(command)}], exit code {code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {shown}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def error_status(message: str) -> Obj:
    """apierrors.NewInternalError as a Status."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }


def encode_status(status: Obj, *, as_json: bool) -> bytes:
    """What goes into the error channel: JSON from protocol version 4 on, before only a text."""
    if as_json:
        return json.dumps(status, separators=(",", ":")).encode()
    return b"" if status["status"] == "Success" else str(status["message"]).encode()
