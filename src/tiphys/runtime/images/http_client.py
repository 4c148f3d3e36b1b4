"""A small HTTP/1.1 client for registries: one request per connection, bodies as they come or go.

Source: RFC 9112 (framing). TLS with the system's authorities.
"""

import asyncio
import base64
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, Final
from urllib.parse import urljoin, urlsplit

from tiphys.lib.logs import Secret

CONNECT_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 60.0  # Without a byte for so long a transfer has died.
HEAD_BYTES_MAX: Final = 65536
REDIRECTS_MAX: Final = 5
READ_BYTES: Final = 1 << 16
AUTHORITIES: Final = "/etc/docker/certs.d"  # Where Docker, too, looks for private authorities.


class HttpError(Exception):
    """The request did not get an answer; the text says which and why."""


@dataclass
class Response:
    """An answer whose body is not read yet; use `read` or iterate over `body`."""

    url: str
    status: int
    headers: dict[str, str]
    _reader: asyncio.StreamReader = field(repr=False)
    _writer: asyncio.StreamWriter = field(repr=False)

    async def body(self) -> AsyncIterator[bytes]:
        """Raises: HttpError when the connection breaks."""
        try:
            async for piece in _body(self._reader, self.headers):
                yield piece
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as exc:
            raise HttpError(f"reading {self.url}: {exc or 'timed out'}") from exc
        finally:
            self.close()

    async def read(self, bytes_max: int) -> bytes:
        """The whole body. Raises: HttpError, also when it is longer than bytes_max."""
        data = bytearray()
        async for piece in self.body():
            data += piece
            if len(data) > bytes_max:
                self.close()
                raise HttpError(f"{self.url}: answer is longer than {bytes_max} bytes")
        return bytes(data)

    def close(self) -> None:
        self._writer.close()


@dataclass(frozen=True)
class Upload:
    """The body of a request: size bytes of file, from where it stands."""

    file: IO[bytes]
    size: int


@dataclass(frozen=True)
class Request:
    """`authorities` is a directory of HOST[:PORT]/ca.crt, as Docker's certs.d."""

    method: str
    url: str
    headers: Mapping[str, str]
    upload: Upload | None = None
    authorities: str = AUTHORITIES


def authority_file(directory: str, host: str) -> str:
    """The certificates that host's is signed with, "" when nobody put any there."""
    path = os.path.join(directory, host, "ca.crt")
    return path if directory and os.path.exists(path) else ""


async def request(wanted: Request, *, follow: bool = True) -> Response:
    """Send a request. Credentials are not sent on to another host, an upload to no other place.

    Raises: HttpError.
    """
    for _ in range(REDIRECTS_MAX + 1):
        response = await _request_once(wanted)
        location = response.headers.get("location")
        moved = response.status in (301, 302, 303, 307, 308) and wanted.upload is None
        if not follow or not moved or not location:
            return response
        response.close()
        target, url, headers = urljoin(wanted.url, location), wanted.url, dict(wanted.headers)
        if urlsplit(target).scheme != "https" and urlsplit(url).scheme == "https":
            raise HttpError(f"{url}: redirected from https to {urlsplit(target).scheme}")
        if urlsplit(target).netloc != urlsplit(url).netloc:
            headers.pop("authorization", None)
        wanted = replace(wanted, url=target, headers=headers)
    raise HttpError(f"{wanted.url}: too many redirects")


def _context(wanted: Request, netloc: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if path := authority_file(wanted.authorities, netloc):
        context.load_verify_locations(path)
    return context


async def _request_once(wanted: Request) -> Response:
    method, url = wanted.method, wanted.url
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    try:
        context = _context(wanted, parts.netloc) if secure else None
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                host, port, ssl=context, limit=HEAD_BYTES_MAX
            )
    except TimeoutError as exc:
        raise HttpError(f'{method} "{url}": dial tcp {host}:{port}: i/o timeout') from exc
    except OSError as exc:
        raise HttpError(f'{method} "{url}": dial tcp {host}:{port}: {exc}') from exc
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = {"host": parts.netloc.rpartition("@")[2], "connection": "close"}
    fields |= wanted.headers
    if wanted.upload is not None:
        fields["content-length"] = str(wanted.upload.size)
    lines = [f"{method} {target} HTTP/1.1", *[f"{k}: {v}" for k, v in fields.items()], "", ""]
    try:
        writer.write("\r\n".join(lines).encode("latin-1"))
        if wanted.upload is not None:
            await _send(writer, wanted.upload)
        async with asyncio.timeout(IDLE_SECONDS):
            status, found = _head(await reader.readuntil(b"\r\n\r\n"))
    except (OSError, TimeoutError, ValueError, EOFError, asyncio.LimitOverrunError) as exc:
        writer.close()
        raise HttpError(f'{method} "{url}": {exc or "timed out"}') from exc
    if method == "HEAD" or status in (204, 304):
        found["content-length"] = "0"
        found.pop("transfer-encoding", None)
    return Response(url, status, found, reader, writer)


async def _send(writer: asyncio.StreamWriter, upload: Upload) -> None:
    left = upload.size
    # A registry that says no stops reading: its answer is more use than the broken connection.
    with contextlib.suppress(ConnectionError):
        while left and (piece := upload.file.read(min(left, READ_BYTES))):
            left -= len(piece)
            writer.write(piece)
            async with asyncio.timeout(IDLE_SECONDS):
                await writer.drain()


def _head(data: bytes) -> tuple[int, dict[str, str]]:
    first, *rest = data.decode("latin-1").split("\r\n")
    version, status, *_ = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"not HTTP: {first!r}")
    pairs = (line.split(":", 1) for line in rest if ":" in line)
    return int(status), {key.strip().lower(): value.strip() for key, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            async for piece in _counted(reader, size):
                yield piece
            await reader.readline()
    elif "content-length" in headers:
        async for piece in _counted(reader, int(headers["content-length"])):
            yield piece
    else:
        while piece := await reader.read(READ_BYTES):
            yield piece


async def _counted(reader: asyncio.StreamReader, count: int) -> AsyncIterator[bytes]:
    while count:
        async with asyncio.timeout(IDLE_SECONDS):
            piece = await reader.read(min(count, READ_BYTES))
        if not piece:
            raise OSError("connection closed early")
        count -= len(piece)
        yield piece


def basic(username: str, password: Secret) -> str:
    return "Basic " + base64.b64encode(f"{username}:{str.__str__(password)}".encode()).decode()


def challenge_fields(header: str) -> tuple[str, dict[str, str]]:
    """Scheme (lower case) and parameters of a WWW-Authenticate header. Source: RFC 9110 11.6.1."""
    scheme, _, rest = header.partition(" ")
    fields: dict[str, str] = {}
    with contextlib.suppress(ValueError):
        while rest.strip(" ,"):
            key, rest = rest.strip(" ,").split("=", 1)
            if rest.startswith('"'):
                value, rest = rest[1:].split('"', 1)
            else:
                value, _, rest = rest.partition(",")
            fields[key.strip().lower()] = value
    return scheme.lower(), fields
