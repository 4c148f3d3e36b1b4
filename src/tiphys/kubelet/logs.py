"""Container logs as `kubectl logs` shows them. Upstream: kuberuntime/logs/logs.go."""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from tiphys.api.meta import parse_time
from tiphys.cri.log_line import LogFormatError, parse

BLOCK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class LogOptions:
    """PodLogOptions; None is absent."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: datetime | None = None
    stream: str = "All"


class Formatter:
    """Entries of the file as the bytes that a reader gets; ends after limit_bytes."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._left = options.limit_bytes
        self._since = options.since
        self._in_line = False

    @property
    def is_full(self) -> bool:
        return self._left is not None and self._left <= 0

    def format(self, raw: bytes) -> bytes:
        try:
            line = parse(raw)
        except LogFormatError:
            return b""
        if self._options.stream not in ("All", "", line.stream.decode().capitalize()):
            return b""
        if self._since is not None:
            if _moment(line.stamp) < self._since:
                return b""
            self._since = None  # Times only grow from here.
        text = line.text
        if self._options.timestamps and not self._in_line:
            text = line.stamp + b" " + text
        self._in_line = line.partial
        if self._left is not None:
            text = text[: self._left]
            self._left -= len(text)
        return text


def _moment(stamp: bytes) -> datetime:
    """Nanoseconds are cut: datetime has microseconds."""
    head, dot, rest = stamp.decode().partition(".")
    if not dot:
        return parse_time(head)
    zone = rest.lstrip("0123456789")
    digits = rest[: len(rest) - len(zone)]
    return parse_time(f"{head}.{digits[:6]}{zone}")


def tail_offset(path: Path, lines: int) -> int:
    """Where the last `lines` entries of the file begin. Raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if lines <= 0:
            return size
        at, found = size, 0
        while at > 0:
            start = max(0, at - BLOCK_BYTES)
            file.seek(start)
            block = file.read(at - start)
            end = len(block)
            while (newline := block.rfind(b"\n", 0, end)) >= 0:
                # The newline that ends the file ends its last entry.
                if start + newline + 1 < size:
                    found += 1
                    if found == lines:
                        return start + newline + 1
                end = newline
            at = start
        return 0


def read_lines(path: Path, offset: int) -> Iterator[bytes]:
    """Whole entries from offset on, without their newline. Raises OSError."""
    with path.open("rb") as file:
        file.seek(offset)
        for raw in file:
            if raw.endswith(b"\n"):
                yield raw[:-1]


def last_lines(path: Path, lines_max: int, bytes_max: int) -> str:
    """The end of a log as text: so many lines, and of those so many bytes."""
    kept: deque[bytes] = deque(maxlen=lines_max)
    try:
        formatter = Formatter(LogOptions())
        for raw in read_lines(path, tail_offset(path, lines_max)):
            kept.append(formatter.format(raw))
    except OSError:
        return ""
    return b"".join(kept)[-bytes_max:].decode(errors="replace")
