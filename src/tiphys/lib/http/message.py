"""What a handler gets and what it answers with.

`Request` is read whole (its body is bounded) before the handler sees it. A handler answers with a
`Response` (bytes known now), a `StreamResponse` (written over time) or an `UpgradeResponse`
(101, then the raw byte stream belongs to the handler).
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from tiphys.lib.http.flow import BodyWriter, RawStream

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Header lines in order. Equal tuples are encoded once, so keep constant ones constant."""

QUERY_FIELDS_MAX: Final = 1000  # More query parameters than any request of ours has.


class Request:
    """One request. Header names are lower case; repeated headers are joined with a comma.

    `notes` is a place for what a handler learnt about it.
    """

    __slots__ = (
        "body",
        "connection",
        "headers",
        "http_1_0",
        "keep_alive",
        "method",
        "notes",
        "target",
    )

    def __init__(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes = b"",
        connection: "Peer | None" = None,
        *,
        keep_alive: bool = True,
        http_1_0: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.connection: Peer = connection if connection is not None else Peer()
        self.keep_alive = keep_alive
        self.http_1_0 = http_1_0
        self.notes: Any = None

    @property
    def raw_path(self) -> str:
        """The path as sent, with its percent escapes: split this into segments, then unquote."""
        return self.target.partition("?")[0]

    @property
    def path(self) -> str:
        return unquote(self.raw_path)

    @property
    def query(self) -> str:
        """What follows the question mark, as sent."""
        return self.target.partition("?")[2]

    def params(self) -> dict[str, list[str]]:
        """The query parameters. Raises ValueError for too many or malformed ones."""
        query = self.query
        if not query:
            return {}
        return parse_qs(query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX)

    @property
    def peer_certificate(self) -> bytes | None:
        """The client's leaf certificate in DER, as far as TLS checked it (see lib.tls)."""
        return self.connection.peer_certificate

    @property
    def peer_address(self) -> str:
        return self.connection.peer_address

    @property
    def wants_upgrade(self) -> bool:
        return "upgrade" in self.headers and "upgrade" in self.headers.get("connection", "").lower()


class Peer:
    """The other end of a connection; `notes` is a place for what a handler learnt about it."""

    __slots__ = ("notes", "peer_address", "peer_certificate")

    def __init__(self, peer_address: str = "", peer_certificate: bytes | None = None) -> None:
        self.peer_address = peer_address
        self.peer_certificate = peer_certificate
        self.notes: Any = None


class Pieces:
    """A body that is made piece by piece while it is written; its length is known before.

    A list of 50 MB that is put together at once holds everybody up, and its memory too.
    """

    __slots__ = ("_make", "length")

    def __init__(self, length: int, make: Callable[[], Iterator[bytes]]) -> None:
        self.length = length
        self._make = make

    def __iter__(self) -> Iterator[bytes]:
        return self._make()


class Response:
    """A complete answer.

    `headers` are kept encoded, as the same ones come again; `own_headers` are this answer's
    alone, as lines that end with CRLF: see `header_line`.
    """

    __slots__ = ("body", "headers", "own_headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes | Pieces = b"",
        headers: Headers = (),
    ) -> None:
        self.status = status
        self.body = body
        self.headers = headers
        self.own_headers = b""


class StreamResponse:
    """An answer of unknown length. `write_body` writes until it returns or is cancelled.

    It is cancelled when the client leaves or the server's patience at stop ends.
    """

    __slots__ = ("headers", "own_headers", "status", "write_body")

    def __init__(
        self,
        status: int,
        write_body: Callable[["BodyWriter"], Awaitable[None]],
        headers: Headers = (),
    ) -> None:
        self.status = status
        self.write_body = write_body
        self.headers = headers
        self.own_headers = b""


class UpgradeResponse:
    """`101 Switching Protocols` with these headers, then `run` owns the raw stream.

    The connection closes when run returns. Set `send_head=False` where run itself passes on the
    other side's answer (a tunnel).
    """

    __slots__ = ("headers", "own_headers", "run", "send_head")
    status: ClassVar[int] = 101

    def __init__(
        self,
        run: Callable[["RawStream"], Awaitable[None]],
        headers: Headers = (),
        *,
        send_head: bool = True,
    ) -> None:
        self.run = run
        self.headers = headers
        self.own_headers = b""
        self.send_head = send_head


Answer: TypeAlias = Response | StreamResponse | UpgradeResponse
Handler: TypeAlias = Callable[[Request], Answer | Awaitable[Answer]]
"""Answers at once (a plain return, the fast path) or with a coroutine."""


def header_line(name: str, value: str) -> bytes:
    """Raises ValueError: who writes a line break into a value would write headers of their own."""
    if "\r" in value or "\n" in value or "\r" in name or "\n" in name or ":" in name:
        raise ValueError(f"header {name!r} has a forbidden character")
    return f"{name}: {value}\r\n".encode()


def text_response(status: int, text: str) -> Response:
    return Response(status, text.encode(), (("Content-Type", "text/plain; charset=utf-8"),))
