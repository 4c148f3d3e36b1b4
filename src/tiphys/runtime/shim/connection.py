"""A connection of the runtime, seen from the shim: frames in, frames out, never blocking."""

import json
import socket
from collections.abc import Callable
from typing import Any, Final

from tiphys.runtime.shim import frames
from tiphys.runtime.shim.loop import HANG_UP, READ, WRITE, Loop

READ_BYTES: Final = 65536
BACKLOG_HIGH_BYTES: Final = 1 << 20  # Above it the sources of a stream are paused.
BACKLOG_MAX_BYTES: Final = 8 << 20  # Above it a reader is too slow and is dropped.


class Connection:
    """`on_frame(connection, channel, payload)` for each frame, `on_close(connection)` once."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        on_frame: Callable[["Connection", int, bytes], None],
        on_close: Callable[["Connection"], None],
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._reader = frames.FrameReader()
        self._out = bytearray()
        self._reading = True
        self._on_frame = on_frame
        self._on_close = on_close
        self.on_drained: Callable[[], None] | None = None
        self.closed = False
        sock.setblocking(False)
        self._watch()

    @property
    def backlogged(self) -> bool:
        return len(self._out) > BACKLOG_HIGH_BYTES

    def send(self, channel: int, payload: bytes) -> None:
        if self.closed:
            return
        self._out += frames.pack(channel, payload)
        self._flush()
        if len(self._out) > BACKLOG_MAX_BYTES:
            self.close()

    def send_control(self, message: dict[str, Any]) -> None:
        self.send(frames.CONTROL, json.dumps(message).encode())

    def pause_reading(self, paused: bool) -> None:
        self._reading = not paused
        self._watch()

    def finish(self) -> None:
        """Close once everything is sent."""
        self.on_drained = self.close
        if not self._out:
            self.close()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._loop.forget(self._sock.fileno())
            self._sock.close()
            self._on_close(self)

    def _watch(self) -> None:
        if not self.closed:
            events = (READ if self._reading else 0) | (WRITE if self._out else 0)
            self._loop.watch(self._sock.fileno(), events, self._ready)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if not self.closed and events & (READ | HANG_UP):
            self._receive()

    def _receive(self) -> None:
        try:
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        try:
            for channel, payload in self._reader.feed(data):
                self._on_frame(self, channel, payload)
        except frames.FrameError:
            self.close()

    def _flush(self) -> None:
        had = bool(self._out)
        try:
            while self._out:
                sent = self._sock.send(self._out[:READ_BYTES])
                del self._out[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        self._watch()
        if had and not self._out and self.on_drained is not None:
            self.on_drained()
