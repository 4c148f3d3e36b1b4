"""A data plane between real clients and real backends, each plane behind the same door."""

import asyncio
import hashlib
import json
import os
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop
from cryptography import x509

from tiphys.api.meta import ObjectKey
from tiphys.ingress.builtin.service import Service
from tiphys.ingress.certificates import fake_certificate
from tiphys.ingress.data_plane import DataPlane, Listening
from tiphys.ingress.nginx.process import Nginx, find_nginx
from tiphys.ingress.table import (
    Backend,
    Certificate,
    Endpoint,
    Host,
    Location,
    Match,
    Options,
    Plan,
)

AVAILABLE = ("builtin", *(["nginx"] if find_nginx() else []))  # nginx is no requirement of ours.
SECONDS_MAX = 60.0
PIECE = b"x" * 65536
DEFAULTS = Options()


def run(story: Coroutine[Any, Any, None]) -> None:
    """In the loop that components run in."""

    async def timed() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await story

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(timed())


class HttpBackend:
    """Says what it was asked; some paths do more. `received` grows while a body comes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self.asked = 0
        self.open = 0
        self.received = 0
        self.sent = 0
        self.go_on = asyncio.Event()  # For answers that wait.
        self.writers: set[asyncio.StreamWriter] = set()
        self.readers: set[asyncio.StreamReader] = set()
        self._server: asyncio.Server | None = None

    @classmethod
    async def start(cls, name: str, tls: ssl.SSLContext | None = None) -> "HttpBackend":
        found = cls(name)
        found._server = await asyncio.start_server(found._serve, "127.0.0.1", 0, ssl=tls)
        found.port = found._server.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        """Listen no more, and leave everybody."""
        if self._server is not None:
            self._server.close()
        for writer in list(self.writers):
            writer.transport.abort()

    async def stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.writers.add(writer)
        self.readers.add(reader)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                self.asked += 1
                method, target, _ = head[0].split(" ", 2)
                headers = [tuple(line.split(": ", 1)) for line in head[1:] if line]
                await self._answer(method, target, headers, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            pass
        finally:
            self.open -= 1
            self.writers.discard(writer)
            self.readers.discard(reader)
            writer.transport.abort()

    async def _answer(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, ...]],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        path = urlsplit(target).path
        known = {h[0].lower(): h[1] for h in headers}
        if path == "/early":
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nearly")
            await writer.drain()
            raise ConnectionResetError
        if path == "/stuck":
            await self.go_on.wait()
        length, digest = await self._body(known, reader)
        if path == "/events":
            await self._events(writer)
        elif path == "/big":
            await self._big(int(urlsplit(target).query), writer)
        elif path == "/cut":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            await writer.drain()
            raise ConnectionResetError
        elif path == "/silent-end":
            raise ConnectionResetError
        elif path == "/until-end":
            writer.write(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nuntil the end")
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            raise ConnectionResetError
        elif path == "/nothing":
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            said = {"backend": self.name, "method": method, "target": target,
                    "headers": headers, "length": length, "sha256": digest}  # fmt: skip
            body = json.dumps(said).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nX-Two: a\r\nX-Two: b\r\n\r\n"
            writer.write(head.encode() + (b"" if method == "HEAD" else body))
        await writer.drain()

    async def _body(self, headers: dict[str, str], reader: asyncio.StreamReader) -> tuple[int, str]:
        digest, total = hashlib.sha256(), 0
        if headers.get("transfer-encoding") == "chunked":
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                piece = await reader.readexactly(size)
                await reader.readexactly(2)
                digest.update(piece)
                total += size
                self.received += size
            await reader.readuntil(b"\r\n")
        left = int(headers.get("content-length", 0))
        while left:
            piece = await reader.read(min(left, 1 << 16))
            if not piece:
                raise ConnectionResetError
            digest.update(piece)
            left -= len(piece)
            total += len(piece)
            self.received += len(piece)
        return total, digest.hexdigest()

    async def _events(self, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(2):
            event = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            if number == 0:
                await self.go_on.wait()
        writer.write(b"0\r\n\r\n")

    async def _big(self, size: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for start in range(0, size, len(PIECE)):
            writer.write(PIECE[: min(len(PIECE), size - start)])
            await writer.drain()
            self.sent = start + len(PIECE)


class Lab:
    """A data plane that listens, the ports of it, and how to ask it."""

    def __init__(self, plane: DataPlane, listening: Listening) -> None:
        self.plane = plane
        self.listening = listening
        self.http_port = listening.http_port
        self.https_port = listening.https_port

    async def raw(self, data: bytes) -> bytes:
        """Everything that comes back until the plane closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.http_port)
        try:
            writer.write(data)
            await writer.drain()
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.transport.abort()

    async def get(
        self, path: str, host: str = "a.test", *, method: str = "GET", more: str = "",
        body: bytes = b"", tls: ssl.SSLContext | None = None,
    ) -> "Told":  # fmt: skip
        """One request on a connection of its own."""
        port = self.https_port if tls else self.http_port
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname=host if tls else None
        )
        try:
            writer.write(
                f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"
                .encode() + body
            )  # fmt: skip
            return await read_answer(reader, is_head=method == "HEAD")
        finally:
            writer.transport.abort()


class Told:
    """An answer."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name: str) -> str:
        return ", ".join(v for n, v in self.headers if n.lower() == name)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def asked_with(self, name: str) -> str | None:
        """A header as the backend got it."""
        found = [h[1] for h in self.json["headers"] if h[0].lower() == name]
        assert len(found) < 2
        return found[0] if found else None


async def read_head(reader: asyncio.StreamReader) -> tuple[int, list[tuple[str, str]]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = []
    for line in lines[1:]:
        if line:
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
    return int(lines[0].split(" ")[1]), headers


async def read_chunk(reader: asyncio.StreamReader) -> bytes:
    size = int(await reader.readuntil(b"\r\n"), 16)
    data = await reader.readexactly(size)
    await reader.readexactly(2)
    return data


async def read_answer(reader: asyncio.StreamReader, *, is_head: bool = False) -> Told:
    status, headers = await read_head(reader)
    told = Told(status, headers, b"")
    if is_head or status in (204, 304):
        return told
    if told.header("transfer-encoding") == "chunked":
        while chunk := await read_chunk(reader):
            told.body += chunk
    elif told.header("content-length"):
        told.body = await reader.readexactly(int(told.header("content-length")))
    else:
        told.body = await reader.read()
    return told


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def lab(name: str, workers: int = 2) -> AsyncIterator[Lab]:
    """A started plane, 404 everywhere. workers: nginx's processes."""
    where = Listening("127.0.0.1", free_port(), free_port(), fake_certificate(datetime.now(UTC)))
    makers: dict[str, Callable[[str], DataPlane]] = {
        "builtin": lambda _: Service(where),
        "nginx": lambda directory: Nginx(where, Path(directory) / "ingress", workers=workers),
    }
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o711)
        plane = makers[name](directory)
        await plane.start()
        try:
            yield Lab(plane, where)
        finally:
            await plane.close()


def location(
    *ports: int, path: str = "", match: Match = Match.PREFIX, options: Options = DEFAULTS
) -> Location:
    """Requests of a path go to endpoints of 127.0.0.1."""
    endpoints = tuple(Endpoint("127.0.0.1", port) for port in ports)
    backend = Backend("default/s" + "-".join(map(str, ports)) + ":80", endpoints)
    return Location(match, path, backend, ObjectKey("default", "i"), options)


def plan(certificates: dict[str, Certificate] | None = None, **hosts: Location) -> Plan:
    """Of hosts `a`: a.test, and `any`: everybody."""
    names = {"any": ""} | {n: f"{n.replace('wild_', '*.')}.test" for n in hosts if n != "any"}
    known = certificates or {}
    return Plan({names[n]: Host((item,), known.get(n)) for n, item in hosts.items()})


def insecure() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def serial(one: Lab, name: str) -> int:
    """Of the certificate that a client is shown who asks for a name."""
    _, writer = await asyncio.open_connection(
        "127.0.0.1", one.https_port, ssl=insecure(), server_hostname=name
    )
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return x509.load_der_x509_certificate(shown).serial_number


def number(certificate: Certificate) -> int:
    return x509.load_pem_x509_certificate(certificate.chain).serial_number
