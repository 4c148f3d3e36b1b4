"""Heads of HTTP/2: the fields of a request as a Request has them, those of an answer for HPACK.

Sources: RFC 9113 sections 8.2 and 8.3, RFC 7541 section 7.1.3.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from tiphys.lib.http.head import date_line
from tiphys.lib.http.message import Headers, header_line

_KEPT_MAX: Final = 1024  # Distinct (status, headers) kept; cleared when full.
_NAMES_MAX: Final = 512  # Header names seen; cleared when full.
_TOKEN: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,32}")  # RFC 9110, 9.1
_PATH: Final = re.compile(rb"/[\x21-\x7e]*|\*")
_NAME: Final = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
_FORBIDDEN: Final = re.compile(rb"[\0\r\n]")
# Of a connection, not of a message: HTTP/2 has none of them (RFC 9113 section 8.2.2).
_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)
_PSEUDO: Final = frozenset({b":method", b":path", b":scheme", b":authority"})
# Indexes of RFC 7541 appendix A.
_STATUSES: Final = {
    b"200": 8,
    b"204": 9,
    b"206": 10,
    b"304": 11,
    b"400": 12,
    b"404": 13,
    b"500": 14,
}
_INDEXES: Final = {
    b":status": 8,
    b"cache-control": 24,
    b"content-length": 28,
    b"content-type": 31,
    b"date": 33,
    b"etag": 34,
    b"last-modified": 44,
    b"location": 46,
    b"retry-after": 53,
    b"vary": 59,
}

Fields = list[tuple[bytes, bytes]]
_kept: dict[tuple[int, Headers], Fields] = {}
_names: dict[bytes, str] = {}  # Names that were looked at and found to be good.


class RequestHead(NamedTuple):
    """What a HEADERS frame says. Header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    length: int | None  # What content-length announces.


class MalformedHead(Exception):
    """The fields make no request; the text says why."""


def decode_head(fields: Iterable[tuple[bytes, bytes]]) -> RequestHead:
    """Raises MalformedHead."""
    pseudo: dict[bytes, bytes] = {}
    headers: dict[str, str] = {}
    for name, value in fields:
        if name[:1] == b":":
            if headers or name in pseudo or name not in _PSEUDO:
                raise MalformedHead(f"unexpected {name.decode('latin-1')}")
            pseudo[name] = value
            continue
        key = _names.get(name) or _name(name)
        if _FORBIDDEN.search(value):
            raise MalformedHead(f"header {key} has a forbidden character")
        text = value.decode("latin-1")
        if key in headers:
            headers[key] += ("; " if key == "cookie" else ", ") + text
        else:
            headers[key] = text
    method, path = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if not _TOKEN.fullmatch(method) or not _PATH.fullmatch(path) or b":scheme" not in pseudo:
        raise MalformedHead("malformed HTTP request")
    if authority := pseudo.get(b":authority"):
        headers["host"] = authority.decode("latin-1")
    length = headers.get("content-length")
    if length is not None and not (length.isascii() and length.isdigit()):
        raise MalformedHead("malformed Content-Length")
    return RequestHead(
        method.decode(), path.decode(), headers, None if length is None else int(length)
    )


def encode_fields(status: int, headers: Headers, length: int | None, own: bytes) -> Fields:
    """The fields of an answer; length None: not known. Raises ValueError for bad headers.

    `own` are lines of this one answer, each with its CRLF.
    """
    fields = _kept.get((status, headers))
    if fields is None:
        fields = _encode_kept(status, headers)
        if len(_kept) >= _KEPT_MAX:
            _kept.clear()
        _kept[status, headers] = fields
    fields = [*fields, (b"date", date_line()[6:-2])]
    if length is not None:
        fields.append((b"content-length", b"%d" % length))
    for line in own.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b": ")
        fields.append((name.lower(), value))
    return fields


class PlainEncoder:
    """HPACK without a table of the connection and without Huffman codes.

    In Python both cost more time than the bytes that they save are worth on the way to clients of
    an API server: an answer's head took 60 us, and takes 6.
    """

    def __init__(self) -> None:
        self.header_table_size = 0  # The library tells what the client would keep.
        self._prefixes: dict[bytes, bytes] = {}

    def encode(self, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
        block: list[bytes] = []
        prefixes = self._prefixes
        for name, value in fields:
            if name == b":status" and value in _STATUSES:
                block.append(bytes([0x80 | _STATUSES[value]]))
                continue
            prefix = prefixes.get(name) or self._prefix(name)
            size = len(value)
            block += (prefix, bytes([size]) if size < 127 else _integer(size, 7), value)
        return b"".join(block)

    def _prefix(self, name: bytes) -> bytes:
        """A literal without indexing, up to its value. Source: RFC 7541 section 6.2.2."""
        index = _INDEXES.get(name)
        prefix = _integer(index, 4) if index else b"\0" + _integer(len(name), 7) + name
        if len(self._prefixes) < _NAMES_MAX:
            self._prefixes[name] = prefix
        return prefix


def _integer(number: int, bits: int) -> bytes:
    """Source: RFC 7541 section 5.1; the bits before the prefix are zero."""
    most = (1 << bits) - 1
    if number < most:
        return bytes([number])
    out = bytearray([most])
    number -= most
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _encode_kept(status: int, headers: Headers) -> Fields:
    fields: Fields = [(b":status", b"%d" % status)]
    for name, value in headers:
        line = header_line(name, value)[len(name) + 2 : -2]
        if name.lower() not in _HOP_BY_HOP:
            fields.append((name.lower().encode(), line))
    return fields


def _name(name: bytes) -> str:
    text = name.decode("latin-1")
    if not _NAME.fullmatch(name) or text in _HOP_BY_HOP:
        raise MalformedHead(f"header {text!r} cannot be sent")
    if len(name) <= 64:
        if len(_names) >= _NAMES_MAX:
            _names.clear()
        _names[name] = text
    return text
