"""/exec, /attach and /portForward: ask the runtime for a URL, then pass the bytes on unread.

Upstream: pkg/kubelet/server/server.go (getExec, proxyStream).
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from tiphys.cri.client import CriClient
from tiphys.lib.http.flow import RawStream
from tiphys.lib.http.message import Request, UpgradeResponse
from tiphys.lib.tasks import TaskSet

log = logging.getLogger(__name__)

CHUNK_BYTES: Final = 64 * 1024
CONNECT_SECONDS_MAX: Final = 10.0
# Headers that belong to the client's connection with us, and its rights.
_OWN: Final = frozenset({"host", "authorization", "content-length", "transfer-encoding"})


def exec_request(container_id: str, params: dict[str, list[str]]) -> dict[str, Any]:
    return {"container_id": container_id, "cmd": params.get("command", []), **_streams(params)}


def attach_request(container_id: str, params: dict[str, list[str]]) -> dict[str, Any]:
    return {"container_id": container_id, **_streams(params)}


def _streams(params: dict[str, list[str]]) -> dict[str, bool]:
    """Both forms: `input=1` of the kubelet's, `stdin=true` of the API's."""
    names = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
    found = {
        name: any(v in ("1", "true") for n in (name, short) for v in params.get(n, []))
        for name, short in names.items()
    }
    if found["tty"]:
        found["stderr"] = False
    return found


async def open_stream(
    cri: CriClient, method: str, call: Mapping[str, Any], request: Request
) -> UpgradeResponse:
    """An answer that joins the client to the runtime's streaming server. Raises CriError."""
    url = (await cri.call(method, call))["url"]

    async def run(client: RawStream) -> None:
        await _join(url, request, client)

    return UpgradeResponse(run, send_head=False)


async def _join(url: str, request: Request, client: RawStream) -> None:
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    except OSError as exc:
        log.warning("the runtime's streams cannot be reached", extra={"why": str(exc)})
        text = b"the runtime's streaming server cannot be reached\n"
        client.write(
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
        )
        return
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{k}: {v}" for k, v in request.headers.items() if k not in _OWN]
    if request.method == "POST":
        lines.append("Content-Length: 0")
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    tasks = TaskSet()
    up = tasks.start(_up(client, writer), "stream to the runtime")
    down = tasks.start(_down(reader, client), "stream from the runtime")
    try:
        # The runtime ends a session; a client that goes away ends it too.
        await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
    finally:
        writer.close()
        await tasks.close()


async def _up(client: RawStream, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await client.read():
            writer.write(data)
            await writer.drain()


async def _down(reader: asyncio.StreamReader, client: RawStream) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(CHUNK_BYTES):
            client.write(data)
            await client.drain()
