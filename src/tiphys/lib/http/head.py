"""Response heads as bytes. Constant parts are encoded once and kept (bounded)."""

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from tiphys.lib.http.message import Headers, header_line

_PREFIXES_MAX: Final = 1024  # Distinct (status, headers) kept; cleared when full.

_REASONS: Final = {int(s): s.phrase for s in HTTPStatus}
_prefixes: dict[tuple[int, Headers], bytes] = {}
_date_at = 0
_date_line = b""


def encode_head(
    status: int, headers: Headers, length: int | None, *, close: bool, own: bytes = b""
) -> bytes:
    """The status line and headers; length None means chunked. Raises ValueError for bad headers.

    `own` are lines of this one answer, each with its CRLF: they are not kept.
    """
    prefix = _prefixes.get((status, headers))
    if prefix is None:
        prefix = _encode_prefix(status, headers)
        if len(_prefixes) >= _PREFIXES_MAX:
            _prefixes.clear()
        _prefixes[status, headers] = prefix
    end = b"Connection: close\r\n\r\n" if close else b"\r\n"
    if length is None:
        return b"%b%bTransfer-Encoding: chunked\r\n%b%b" % (prefix, own, date_line(), end)
    return b"%b%bContent-Length: %d\r\n%b%b" % (prefix, own, length, date_line(), end)


def encode_upgrade_head(headers: Headers, own: bytes = b"") -> bytes:
    return b"%b%b\r\n" % (_encode_prefix(101, headers), own)


def _encode_prefix(status: int, headers: Headers) -> bytes:
    line = f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n"
    return line.encode() + _encode_lines(headers)


def _encode_lines(headers: Headers) -> bytes:
    return b"".join([header_line(name, value) for name, value in headers])


def date_line() -> bytes:
    """The Date header of now, with its CRLF; made once a second."""
    global _date_at, _date_line
    now = int(time.time())
    if now != _date_at:
        _date_at = now
        _date_line = f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
    return _date_line
