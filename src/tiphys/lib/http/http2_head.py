"""Heads of HTTP/2: the fields of a request as a Request has them, those of an answer for HPACK.

Sources: RFC 9113 sections 8.2 and 8.3.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from tiphys.lib.http.head import date_line
from tiphys.lib.http.hpack import encode, integer
from tiphys.lib.http.message import Headers, header_line

if TYPE_CHECKING:
    from tiphys.lib.http.http2_wire import Wire

_KEPT_MAX: Final = 1024  # Distinct (status, headers) kept; cleared when full.
_HEADS_MAX: Final = 64  # Of one connection, so long; cleared when full.
_HEAD_BYTES_MAX: Final = 4096
FIELDS_MAX: Final = 1000  # Of a head. Clients send a dozen; each is looked at.
_NAMES_MAX: Final = 512  # Header names seen; cleared when full.
_TOKEN: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,32}")  # RFC 9110, 9.1
_PATH: Final = re.compile(rb"/[\x21-\x7e]*|\*")
_NAME: Final = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
_FORBIDDEN: Final = re.compile(rb"[\0\r\n]")
# Of a connection, not of a message: HTTP/2 has none of them (RFC 9113 section 8.2.2).
_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)
_LENGTH_TEXT: Final = re.compile(r"[0-9]{1,18}")
_PSEUDO: Final = frozenset({b":method", b":path", b":scheme", b":authority"})
_HTTPS: Final = encode((b":scheme", b"https"))
_LENGTH: Final = encode((b"content-length", b""))[:-1]

_kept: dict[tuple[int, Headers], bytes] = {}
_prefixes: dict[bytes, bytes] = {}
_names: dict[bytes, str] = {}  # Names that were looked at and found to be good.


class RequestHead(NamedTuple):
    """What a HEADERS frame says. Header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    length: int | None  # What content-length announces.


class MalformedHead(Exception):
    """The fields make no request; the text says why."""


def decode_head(fields: Sequence[tuple[bytes, bytes]]) -> RequestHead:
    """Raises MalformedHead."""
    pseudo: dict[bytes, bytes] = {}
    headers: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    if len(fields) > FIELDS_MAX:
        raise MalformedHead(f"more than {FIELDS_MAX} header fields")
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
            repeated.setdefault(key, [headers[key]]).append(text)
        else:
            headers[key] = text
    for key, texts in repeated.items():
        headers[key] = ("; " if key == "cookie" else ", ").join(texts)
    method, path = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if not _TOKEN.fullmatch(method) or not _PATH.fullmatch(path) or b":scheme" not in pseudo:
        raise MalformedHead("malformed HTTP request")
    if authority := pseudo.get(b":authority"):
        headers["host"] = authority.decode("latin-1")
    length = headers.get("content-length")
    if length is not None and not _LENGTH_TEXT.fullmatch(length):
        raise MalformedHead("malformed Content-Length")
    return RequestHead(
        method.decode(), path.decode(), headers, None if length is None else int(length)
    )


class HeadReader:
    """Heads of one connection by their bytes, for as long as the decoder's table stands.

    A client sends the same bytes with all it asks for.
    """

    __slots__ = ("_generation", "_kept", "_wire")

    def __init__(self, wire: "Wire") -> None:
        self._wire = wire
        self._generation = 0
        self._kept: dict[bytes, RequestHead] = {}

    def read(self, block: bytes) -> RequestHead:
        """Raises MalformedHead, WireError."""
        decoder = self._wire.decoder
        if decoder.generation != self._generation:
            self._generation = decoder.generation
            self._kept.clear()
        head = self._kept.get(block)
        if head is None:
            head = decode_head(self._wire.fields_of(block))
            if decoder.generation == self._generation and len(block) <= _HEAD_BYTES_MAX:
                if len(self._kept) >= _HEADS_MAX:
                    self._kept.clear()
                self._kept[block] = head
        return head


def encode_answer(status: int, headers: Headers, length: int | None, own: bytes) -> bytes:
    """The block of an answer's head; length None: not known. Raises ValueError for bad headers.

    `own` are lines of this one answer, each with its CRLF.
    """
    kept = _kept.get((status, headers))
    if kept is None:
        kept = _encode_kept(status, headers)
        if len(_kept) >= _KEPT_MAX:
            _kept.clear()
        _kept[status, headers] = kept
    block = kept + _date_field(date_line())
    if length is not None:
        digits = b"%d" % length
        block += _LENGTH + bytes((len(digits),)) + digits
    if own:
        for line in own.split(b"\r\n")[:-1]:
            name, _, value = line.partition(b": ")
            block += (_prefixes.get(name) or _prefix(name)) + integer(len(value), 7) + value
    return block


def encode_request(method: str, target: str, host: str, headers: Mapping[str, str]) -> bytes:
    """The block of a request's head. Raises ValueError for bad headers."""
    block = encode((b":method", method.encode())) + _HTTPS
    block += encode((b":authority", host.encode())) + encode((b":path", target.encode()))
    for name, value in headers.items():
        line = header_line(name, value)[len(name) + 2 : -2]
        block += _prefixes.get(name.encode()) or _prefix(name.encode())
        block += integer(len(line), 7) + line
    return block


def decode_answer(fields: Iterable[tuple[bytes, bytes]]) -> tuple[int, dict[str, str]]:
    """Status and headers. Raises MalformedHead."""
    headers: dict[str, str] = {}
    for name, value in fields:
        headers[name.decode("latin-1")] = value.decode("latin-1")
    status = headers.pop(":status", "")
    if len(status) != 3 or not status.isdigit():
        raise MalformedHead("an answer without a status")
    return int(status), headers


def _encode_kept(status: int, headers: Headers) -> bytes:
    block = encode((b":status", b"%d" % status))
    for name, value in headers:
        line = header_line(name, value)[len(name) + 2 : -2]
        if name.lower() not in _HOP_BY_HOP:
            block += encode((name.lower().encode(), line))
    return block


@lru_cache(maxsize=1)
def _date_field(line: bytes) -> bytes:
    return encode((b"date", line[6:-2]))


def _prefix(name: bytes) -> bytes:
    """A field up to the length of its value, the name in lower case."""
    prefix = encode((name.lower(), b""))[:-1]
    if len(_prefixes) < _NAMES_MAX:
        _prefixes[name] = prefix
    return prefix


def _name(name: bytes) -> str:
    text = name.decode("latin-1")
    if not _NAME.fullmatch(name) or text in _HOP_BY_HOP:
        raise MalformedHead(f"header {text!r} cannot be sent")
    if len(name) <= 64:
        if len(_names) >= _NAMES_MAX:
            _names.clear()
        _names[name] = text
    return text
