"""Input and output of a process: non-blocking pipes or a terminal's master."""

import os
from collections.abc import Callable
from typing import Final

from tiphys.runtime.shim.loop import HANG_UP, READ, WRITE, Loop

READ_BYTES: Final = 65536
PENDING_BYTES_MAX: Final = 1 << 20  # Input that waits for a process before its sender is paused.
DRAIN_READS_MAX: Final = 1024  # After the end of a process, so much of its output is still read.


class Output:
    """Reads one stream to its end and hands each piece to `on_data`."""

    def __init__(self, loop: Loop, fd: int, on_data: Callable[[bytes], None]) -> None:
        self._loop = loop
        self._on_data = on_data
        self.fd = fd
        os.set_blocking(fd, False)
        self.pause(False)

    def pause(self, paused: bool) -> None:
        if self.fd >= 0:
            if paused:
                self._loop.forget(self.fd)
            else:
                self._loop.watch(self.fd, READ, self._ready)

    def drain(self) -> None:
        """Read what is there now and close."""
        for _ in range(DRAIN_READS_MAX):
            if self.fd < 0 or not self._read():
                break
        self.close()

    def close(self) -> None:
        if self.fd >= 0:
            self._loop.forget(self.fd)
            os.close(self.fd)
            self.fd = -1

    def _ready(self, events: int) -> None:
        self._read()

    def _read(self) -> bool:
        try:
            data = os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # EIO: every end of the terminal is closed.
            data = b""
        if not data:
            self.close()
            return False
        self._on_data(data)
        return True


class Input:
    """Writes to a process; `on_full(True)` asks the sender to pause, `on_full(False)` to go on."""

    def __init__(self, loop: Loop, fd: int) -> None:
        self._loop = loop
        self._pending = bytearray()
        self._ended = False
        self.fd = fd
        self.on_full: Callable[[bool], None] | None = None
        os.set_blocking(fd, False)

    def write(self, data: bytes) -> None:
        if self.fd >= 0 and not self._ended:
            self._pending += data
            self._flush()

    def end(self) -> None:
        """Close once everything is written."""
        self._ended = True
        if not self._pending:
            self.close()

    def close(self) -> None:
        if self.fd >= 0:
            self._loop.forget(self.fd)
            os.close(self.fd)
            self.fd = -1
            self._pending.clear()

    def _ready(self, events: int) -> None:
        if events & HANG_UP and not events & WRITE:
            self.close()
        else:
            self._flush()

    def _flush(self) -> None:
        try:
            while self._pending:
                written = os.write(self.fd, self._pending[:READ_BYTES])
                del self._pending[:written]
        except BlockingIOError:
            pass
        except OSError:  # The process closed its end.
            self.close()
        if self.fd < 0:
            full = False
        elif self._pending:
            self._loop.watch(self.fd, WRITE, self._ready)
            full = len(self._pending) > PENDING_BYTES_MAX
        else:
            self._loop.forget(self.fd)
            full = False
            if self._ended:
                self.close()
        if self.on_full is not None:
            self.on_full(full)
