"""Heads of requests and answers as a proxy passes them on. Pure: header lists in, bytes out.

What is framed differently by two parsers lets one request hide in another: a request whose length
is said twice or oddly is refused, and every head is written anew with one framing.
Sources: RFC 9110 section 7.6.1, RFC 9112 sections 3.2, 6.1 and 6.3.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple

Headers = list[tuple[bytes, bytes]]

_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Ours to say; `Proxy` would become a variable that CGI programs trust (httpoxy.org).
_REPLACED: Final = _HOP_BY_HOP | {
    b"content-length",
    b"expect",
    b"host",
    b"proxy",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-proto",
    b"x-forwarded-scheme",
    b"x-original-forwarded-for",
    b"x-real-ip",
    b"x-request-id",
    b"x-scheme",
}
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9\-._~%!$&'()*+,;=]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9\-_.:]{1,128}")
_BREAKS: Final = re.compile(rb"[\r\n\0]")
_BODILESS: Final = frozenset({204, 304})  # RFC 9112 section 6.3
_TUNNELS_REFUSED: Final = frozenset({b"h2c"})  # Behind it nobody would look at paths any more.
_REASONS: Final = {int(s): s.phrase.encode() for s in HTTPStatus}


class BadRequest(Exception):
    """A request that is not passed on: its status and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(slots=True)
class RequestHead:
    """A request before its body."""

    method: bytes
    target: bytes  # As sent, without scheme and host.
    host: bytes  # As sent, with a port if there was one.
    headers: Headers
    http_1_0: bool
    close: bool  # The client wants no other answer on its connection.
    length: bytes | None = None
    chunked: bool = False
    upgrade: bytes = b""
    expects_continue: bool = False
    request_id: bytes = b""

    @property
    def name(self) -> str:
        """The host's name, lower case, without port."""
        return self.host.decode("latin-1").rpartition("]")[0][1:].lower() or (
            self.host.partition(b":")[0].decode("latin-1").lower().rstrip(".")
        )


class Origin(NamedTuple):
    """Where a request came from, as the backend is told."""

    peer: bytes
    scheme: bytes
    port: bytes


def read_request(
    method: bytes, target: bytes, headers: Headers, *, http_1_0: bool, close: bool, upgrade: bool
) -> RequestHead:
    """What a request says of itself. Raises BadRequest."""
    if method in (b"CONNECT", b"TRACE"):
        raise BadRequest(405, "this method is not passed on")
    found = RequestHead(method, target, b"", headers, http_1_0, close or http_1_0)
    hosts: list[bytes] = []
    encodings: list[bytes] = []
    wanted = b""
    for name, value in headers:
        if _BREAKS.search(value):
            raise BadRequest(400, "a header holds a line break")
        lower = name.lower()
        if lower == b"host":
            hosts.append(value)
        elif lower == b"content-length":
            if found.length is not None or not value.isdigit():
                raise BadRequest(400, "malformed or repeated Content-Length")
            found.length = value
        elif lower == b"transfer-encoding":
            encodings.append(value.lower())
        elif lower == b"upgrade":
            wanted = value
        elif lower == b"expect":
            found.expects_continue = value.lower() == b"100-continue"
        elif lower == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            found.request_id = value
    if upgrade and wanted.lower() not in _TUNNELS_REFUSED:
        found.upgrade = wanted
    _read_length(found, encodings)
    _read_host(found, hosts)
    return found


def _read_length(found: RequestHead, encodings: list[bytes]) -> None:
    if not encodings:
        return
    if found.http_1_0 or found.length is not None or len(encodings) > 1:
        raise BadRequest(400, "the request's length is said twice")
    if encodings[0] != b"chunked":
        raise BadRequest(501, "transfer encodings other than chunked are not supported")
    found.chunked = True


def _read_host(found: RequestHead, hosts: list[bytes]) -> None:
    absolute = _ABSOLUTE.fullmatch(found.target)
    if absolute:
        found.target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
    if len(hosts) > 1 or (not hosts and not found.http_1_0):
        raise BadRequest(400, "exactly one Host is needed")
    found.host = absolute[1] if absolute else hosts[0] if hosts else b""
    if not _HOST.fullmatch(found.host) and not (found.http_1_0 and not found.host):
        raise BadRequest(400, "malformed Host")
    if not found.target.startswith(b"/"):
        raise BadRequest(400, "the request's target is no path")


def encode_request(head: RequestHead, target: bytes, origin: Origin, request_id: bytes) -> bytes:
    """The head as the backend gets it."""
    lines = [head.method + b" " + target + b" HTTP/1.1\r\nHost: " + head.host]
    named = _named_by_connection(head.headers)
    for name, value in head.headers:
        lower = name.lower()
        if lower in _REPLACED:
            if lower == b"x-forwarded-for":
                lines.append(b"X-Original-Forwarded-For: " + value)
        elif b"_" not in name and lower not in named:
            # Underscores: programs behind CGI could not tell them from hyphens; as nginx.
            lines.append(name + b": " + value)
    lines.append(
        b"X-Request-ID: %b\r\nX-Real-IP: %b\r\nX-Forwarded-For: %b\r\nX-Forwarded-Host: %b\r\n"
        b"X-Forwarded-Port: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Scheme: %b\r\nX-Scheme: %b"
        % (
            request_id,
            origin.peer,
            origin.peer,
            head.host,
            origin.port,
            origin.scheme,
            origin.scheme,
            origin.scheme,
        )
    )
    if head.chunked:
        lines.append(b"Transfer-Encoding: chunked")
    elif head.length is not None:
        lines.append(b"Content-Length: " + head.length)
    if head.upgrade:
        lines.append(b"Upgrade: " + head.upgrade + b"\r\nConnection: Upgrade")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    """Headers that a sender meant for us alone."""
    named: set[bytes] = set()
    for name, value in headers:
        if len(name) == 10 and name.lower() == b"connection":
            named.update(item.strip() for item in value.lower().split(b","))
    return frozenset(named)


class Framing(NamedTuple):
    """How an answer's end is told to the client."""

    has_body: bool
    chunked: bool
    close: bool


def framing(
    status: int, *, is_head: bool, has_length: bool, http_1_0: bool, close: bool
) -> Framing:
    """close: the connection is to end after the answer in any case."""
    has_body = not is_head and status not in _BODILESS and status >= 200
    chunked = has_body and not has_length and not http_1_0
    return Framing(has_body, chunked, close or (has_body and not has_length and not chunked))


def encode_answer(status: int, reason: bytes, headers: Headers, frame: Framing) -> bytes:
    """The head as the client gets it."""
    lines = [b"HTTP/1.1 %d %b" % (status, reason or _REASONS.get(status, b"Unknown"))]
    named = _named_by_connection(headers)
    for name, value in headers:
        lower = name.lower()
        if lower not in _HOP_BY_HOP and lower not in named:
            lines.append(name + b": " + value)
    if frame.chunked:
        lines.append(b"Transfer-Encoding: chunked")
    lines.append(b"Connection: close\r\n\r\n" if frame.close else b"Connection: keep-alive\r\n\r\n")
    return b"\r\n".join(lines)


def encode_switch(headers: Headers) -> bytes:
    """101, with what the backend has switched to."""
    lines = [b"HTTP/1.1 101 Switching Protocols"]
    lines += [n + b": " + v for n, v in headers if n.lower() not in (b"content-length",)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def own_answer(
    status: int, text: str, *, close: bool, more: Iterable[tuple[str, str]] = (), head: bool = False
) -> bytes:
    """An answer of our own: plain text."""
    body = f"{text}\n".encode()
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, b'Unknown').decode()}"]
    lines += ["Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in more]
    lines.append(f"Connection: {'close' if close else 'keep-alive'}")
    encoded = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return encoded if head else encoded + body
