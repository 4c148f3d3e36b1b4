"""One line of a container's log, as every CRI runtime writes it.

    2026-11-24T10:00:00.123456789Z stdout F the line
    <RFC 3339 time> <stream> <P: part of a line, F: its end> <text>

Source: kubernetes/design-proposals node/kubelet-cri-logging.md.
"""

from typing import NamedTuple


class Line(NamedTuple):
    """One entry; text carries its newline unless it is part of a longer line."""

    stamp: bytes
    stream: bytes
    text: bytes
    partial: bool


class LogFormatError(ValueError):
    """A line that is not CRI's."""


def parse(raw: bytes) -> Line:
    """A line of the file without its newline. Raises LogFormatError."""
    parts = raw.split(b" ", 3)
    if len(parts) < 3 or parts[1] not in (b"stdout", b"stderr"):
        raise LogFormatError("not a CRI log line")
    text = parts[3] if len(parts) == 4 else b""
    partial = parts[2].split(b":", 1)[0] == b"P"
    return Line(parts[0], parts[1], text if partial else text + b"\n", partial)
