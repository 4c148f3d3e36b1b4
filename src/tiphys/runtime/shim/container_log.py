"""The log file of a container in the CRI format.

    2026-01-02T03:04:05.000000006Z stdout F a whole line
    2026-01-02T03:04:05.000000007Z stdout P the first 16 KiB of a longer one

Upstream: pkg/kubelet/kuberuntime/logs; containerd's line bound of 16 KiB.
"""

import contextlib
import os
import time
from typing import Final

LINE_BYTES_MAX: Final = 16 << 10


class LineSplitter:
    """Cuts one stream into log lines. Pure: bytes in, log file bytes out."""

    def __init__(self, stream: str) -> None:
        self._full = f" {stream} F ".encode()
        self._part = f" {stream} P ".encode()
        self._rest = b""

    def feed(self, data: bytes, stamp: bytes) -> bytes:
        """Log lines for data; the unfinished end waits for more unless it is long enough."""
        # Terminals end lines with both; containerd's log has only the newline.
        lines = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n")
        self._rest = lines.pop()
        head = stamp + self._full
        if len(self._rest) <= LINE_BYTES_MAX and max(map(len, lines), default=0) <= LINE_BYTES_MAX:
            # Nearly always: joined at C's speed, ten times faster than line by line.
            return head + (b"\n" + head).join(lines) + b"\n" if lines else b""
        out: list[bytes] = []
        for line in lines:
            line = self._cut(line, stamp, out)
            out += (stamp, self._full, line, b"\n")
        self._rest = self._cut(self._rest, stamp, out)
        return b"".join(out)

    def end(self, stamp: bytes) -> bytes:
        """The unfinished line, as a partial one: no newline came."""
        rest, self._rest = self._rest, b""
        return b"".join((stamp, self._part, rest, b"\n")) if rest else b""

    def _cut(self, line: bytes, stamp: bytes, out: list[bytes]) -> bytes:
        while len(line) > LINE_BYTES_MAX:
            out += (stamp, self._part, line[:LINE_BYTES_MAX], b"\n")
            line = line[LINE_BYTES_MAX:]
        return line


def timestamp(nanoseconds: int) -> bytes:
    """RFC 3339 with nanoseconds, UTC."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime(f"%Y-%m-%dT%H:%M:%S.{rest:09d}Z", time.gmtime(seconds)).encode()


class ContainerLog:
    """Writes both streams of a container to a file. A full disk loses lines, never the container:
    its pipes go on being read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._streams = {name: LineSplitter(name) for name in ("stdout", "stderr")}
        self.reopen()

    def reopen(self) -> None:
        """Open the path anew (after the kubelet moved the old file away). Raises: OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._path, flags, 0o640) if self._path else -1
        self._close()
        self._fd = fd

    def write(self, stream: str, data: bytes) -> None:
        self._append(self._streams[stream].feed(data, timestamp(time.time_ns())))

    def end(self) -> None:
        for splitter in self._streams.values():
            self._append(splitter.end(timestamp(time.time_ns())))
        self._close()

    def _append(self, data: bytes) -> None:
        if data and self._fd >= 0:
            with contextlib.suppress(OSError):
                os.write(self._fd, data)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
