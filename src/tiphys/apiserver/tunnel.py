"""Passes a request on to a kubelet, pod or service, and its answer or upgraded stream back.

Bytes of an upgrade (SPDY, WebSocket) are not looked at. Answers are streamed as they come.
Upstream: apimachinery pkg/util/proxy/upgradeaware.go.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from tiphys.api.errors import InternalError
from tiphys.lib.http.flow import BodyWriter, RawStream
from tiphys.lib.http.message import Answer, Headers, Request, StreamResponse, UpgradeResponse

log = logging.getLogger(__name__)

UNREACHABLE: Final = "error dialing backend: "  # How upstream's text of it begins.
CONNECT_SECONDS_MAX: Final = 30.0  # Upstream's dialer.
# Until an upgrade is answered; as long as upstream's --request-timeout.
UPGRADE_SECONDS_MAX: Final = 60.0
# Until a plain answer begins: long polls are fine, upstream sets no limit at all. A request whose
# client has gone must end some day; as long as upstream's --min-request-timeout.
ANSWER_SECONDS_MAX: Final = 1800.0
HEAD_BYTES_MAX: Final = 64 * 1024
PIECE_BYTES: Final = 64 * 1024
_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "trailer"}
    | {"proxy-authenticate", "proxy-authorization", "proxy-connection", "date"}
)
# What says who the client is belongs to us and is not passed on.
_OURS: Final = frozenset({"authorization", "host"})
_OURS_PREFIXES: Final = ("x-remote-", "impersonate-")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to pass a request on to; `path` has the query.

    `server_name` is whom the certificate must name instead of the host; `headers` are put in.
    """

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    headers: Headers = ()


async def pass_on(request: Request, target: Target) -> Answer:
    """Raises InternalError when nobody answers there, or nonsense."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            reader, writer = await asyncio.open_connection(
                target.host,
                target.port,
                ssl=target.tls,
                server_hostname=target.server_name if target.tls else None,
                limit=HEAD_BYTES_MAX,
            )
    except (OSError, TimeoutError) as error:
        raise _unreachable(target, error) from error
    seconds = UPGRADE_SECONDS_MAX if request.wants_upgrade else ANSWER_SECONDS_MAX
    try:
        writer.write(_request_head(request, target) + request.body)
        await writer.drain()
        async with asyncio.timeout(seconds):
            head = await reader.readuntil(b"\r\n\r\n")
        status, headers = _parse_head(head)
    except TimeoutError as error:
        writer.close()
        why = TimeoutError(f"no answer within {seconds:g} s")
        raise _unreachable(target, why) from error
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        writer.close()
        raise _unreachable(target, error) from error
    except BaseException:
        writer.close()
        raise
    connection = _Connection(reader, writer)
    shown: Headers = tuple((n, v) for n, v in headers if n.lower() not in _HOP_BY_HOP)
    if status == 101:
        upgrade = (*shown, ("Connection", "Upgrade"))
        return UpgradeResponse(connection.pipe, upgrade)
    plain = {n.lower(): v for n, v in headers}
    body = _Body(connection, plain)
    if request.method == "HEAD" or status in {204, 304}:
        # The server writes no body of such an answer, so nobody else would close.
        connection.close()
    return StreamResponse(status, body.copy, shown)


def _unreachable(target: Target, error: Exception) -> InternalError:
    text = str(error) or type(error).__name__
    return InternalError(
        f"{UNREACHABLE}dial tcp {target.host}:{target.port}: {text}",
        code=500,
        reason="",
    )


def _request_head(request: Request, target: Target) -> bytes:
    lines = [f"{request.method} {target.path} HTTP/1.1", f"Host: {target.host}:{target.port}"]
    upgrading = request.wants_upgrade
    for name, value in request.headers.items():
        if name in _OURS or name in _HOP_BY_HOP or (name == "upgrade" and not upgrading):
            continue
        if not name.startswith(_OURS_PREFIXES):
            lines.append(f"{name}: {value}")
    lines += [f"{name}: {value}" for name, value in target.headers]
    lines.append(f"X-Forwarded-For: {request.peer_address}")
    lines.append("Connection: Upgrade" if upgrading else "Connection: close")
    lines.append(f"Content-Length: {len(request.body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _parse_head(head: bytes) -> tuple[int, list[tuple[str, str]]]:
    """Raises ValueError."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, *_ = first.split(" ", 2)
    if not version.startswith("HTTP/1."):
        raise ValueError(f"not an HTTP answer: {first[:80]}")
    headers = []
    for line in lines:
        name, separator, value = line.partition(":")
        if separator:
            headers.append((name.strip(), value.strip()))
    return int(status), headers


class _Connection:
    """The other side's connection; closed when the answer is through."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def pipe(self, stream: RawStream) -> None:
        """Both ways until one side ends."""

        async def inwards() -> None:
            while data := await stream.read():
                self.writer.write(data)
                await self.writer.drain()

        async def outwards() -> None:
            while data := await self.reader.read(PIECE_BYTES):
                stream.write(data)
                await stream.drain()

        loop = asyncio.get_running_loop()
        both = [loop.create_task(inwards()), loop.create_task(outwards())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            # The program has ended: what it wrote last is still on its way to the client.
            if not both[1].done() and both[0].done():
                await asyncio.wait([both[1]], timeout=1.0)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.writer.close()


class _Body:
    """The answer's body, by its length, in chunks, or until the end of the connection."""

    def __init__(self, connection: _Connection, headers: Mapping[str, str]) -> None:
        self._connection = connection
        self._headers = headers

    async def copy(self, body: BodyWriter) -> None:
        try:
            async for data in self._pieces():
                body.write(data)
                await body.drain()
        except (asyncio.IncompleteReadError, OSError, ValueError) as error:
            if not isinstance(error, ConnectionResetError) or not body.closed:
                log.info("a passed on answer broke off", extra={"why": error})
            body.abort()
        finally:
            self._connection.close()

    async def _pieces(self) -> AsyncIterator[bytes]:
        reader = self._connection.reader
        if "chunked" in self._headers.get("transfer-encoding", "").lower():
            while size := int((await reader.readline()).split(b";")[0], 16):
                while size:
                    data = await reader.read(min(size, PIECE_BYTES))
                    if not data:
                        raise asyncio.IncompleteReadError(b"", size)
                    size -= len(data)
                    yield data
                await reader.readexactly(2)
            return
        left = int(self._headers.get("content-length", -1))
        while left:
            data = await reader.read(PIECE_BYTES if left < 0 else min(left, PIECE_BYTES))
            if not data:
                return
            left -= len(data) if left > 0 else 0
            yield data
