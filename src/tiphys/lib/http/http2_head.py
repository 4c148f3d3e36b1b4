"""Heads of HTTP/2: the fields of a request as a Request has them, those of an answer for HPACK.

Sources: RFC 9113 sections 8.2 and 8.3, RFC 7541 section 7.1.3.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from hpack.struct import HeaderTuple, NeverIndexedHeaderTuple

from tiphys.lib.http.head import date_line
from tiphys.lib.http.message import Headers, header_line

_KEPT_MAX: Final = 1024  # Distinct (status, headers) kept; cleared when full.
_NAMES_MAX: Final = 512  # Header names seen; cleared when full.
_TOKEN: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,32}")  # RFC 9110, 9.1
_PATH: Final = re.compile(rb"/[\x21-\x7e]*|\*")
# Of a connection, not of an answer: HTTP/2 has none of them (RFC 9113 section 8.2.2).
_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)

Fields = list[HeaderTuple]
_kept: dict[tuple[int, Headers], Fields] = {}
_names: dict[bytes, str] = {}


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
            pseudo[name] = value
            continue
        key = _names.get(name) or _name(name)
        text = value.decode("latin-1")
        if key in headers:
            headers[key] += ("; " if key == "cookie" else ", ") + text
        else:
            headers[key] = text
    method, path = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if not _TOKEN.fullmatch(method) or not _PATH.fullmatch(path):
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

    `own` are lines of this one answer, each with its CRLF. What differs from answer to answer is
    not put into the table of the connection, where it would push out what comes again.
    """
    fields = _kept.get((status, headers))
    if fields is None:
        fields = _encode_kept(status, headers)
        if len(_kept) >= _KEPT_MAX:
            _kept.clear()
        _kept[status, headers] = fields
    fields = [*fields, HeaderTuple(b"date", date_line()[6:-2])]
    if length is not None:
        fields.append(NeverIndexedHeaderTuple(b"content-length", b"%d" % length))
    for line in own.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b": ")
        fields.append(NeverIndexedHeaderTuple(name.lower(), value))
    return fields


def _encode_kept(status: int, headers: Headers) -> Fields:
    fields = [HeaderTuple(b":status", b"%d" % status)]
    for name, value in headers:
        line = header_line(name, value)[len(name) + 2 : -2]
        if name.lower() not in _HOP_BY_HOP:
            fields.append(HeaderTuple(name.lower().encode(), line))
    return fields


def _name(name: bytes) -> str:
    text = name.decode("latin-1").lower()
    if len(name) <= 64:
        if len(_names) >= _NAMES_MAX:
            _names.clear()
        _names[name] = text
    return text
