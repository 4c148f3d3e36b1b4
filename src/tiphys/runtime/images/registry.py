"""The embedded registry: OCI distribution over HTTP/1.1, for the nodes of one machine.

It answers for every registry whose images it holds: a request names the registry with
`?ns=gcr.io` (as containerd asks a mirror) or as the first part of the repository. Reading is open,
what is read is public; writing needs the token of the configuration, or is refused.

Source: OCI distribution-spec (end-1 to end-11).
"""

import asyncio
import hmac
import json
import logging
import os
import re
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import IO, Final
from urllib.parse import parse_qs, urlsplit

from tiphys.lib.logs import Secret
from tiphys.runtime.images import manifest
from tiphys.runtime.images.reference import Reference, parse
from tiphys.runtime.images.registry_storage import RegistryStorage

log = logging.getLogger(__name__)

HEAD_BYTES_MAX: Final = 65536
BODY_BYTES_MAX: Final = 16 << 30
UPLOADS_MAX: Final = 64
IDLE_SECONDS: Final = 60.0
PIECE_BYTES: Final = 1 << 16
_ROUTE: Final = re.compile(r"/v2/(?P<name>[^?]+?)/(?P<what>manifests|blobs|tags)/(?P<rest>[^?]*)$")


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    reader: asyncio.StreamReader = field(repr=False)

    async def body(self) -> AsyncIterator[bytes]:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await self.reader.readline()).split(b";")[0], 16):
                yield await self.reader.readexactly(min(size, BODY_BYTES_MAX))
                await self.reader.readline()
            await self.reader.readline()
            return
        left = min(int(self.headers.get("content-length", "0")), BODY_BYTES_MAX)
        while left:
            piece = await self.reader.read(min(left, PIECE_BYTES))
            if not piece:
                raise ConnectionError("body is cut short")
            left -= len(piece)
            yield piece


@dataclass
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    blob: str = ""  # The digest of a blob to send instead of body.


class RegistryError(Exception):
    """An error in the protocol's form."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.answer = Answer(
            status,
            {"content-type": "application/json"},
            json.dumps({"errors": [{"code": code, "message": message}]}).encode(),
        )


class RegistryServer:
    """Serves a RegistryStorage; `push_token` "" means that nobody may write."""

    def __init__(self, storage: RegistryStorage, push_token: Secret) -> None:
        self._storage = storage
        self._push_token = push_token
        self._uploads: dict[str, IO[bytes]] = {}
        self._servers: list[asyncio.Server] = []

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port. Raises: OSError."""
        server = await self.listen(socket.create_server((host, port)))
        found: int = server.sockets[0].getsockname()[1]
        return found

    async def listen(self, listener: socket.socket) -> asyncio.Server:
        """Serve on a socket, of whatever network namespace; close the result to stop that."""
        server = await asyncio.start_server(self._serve, sock=listener, limit=HEAD_BYTES_MAX)
        self._servers.append(server)
        return server

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for file in self._uploads.values():
            self._discard(file)
        self._uploads.clear()

    def _discard(self, file: IO[bytes]) -> None:
        file.close()
        if os.path.exists(file.name):
            os.unlink(file.name)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                request = _parse(head, reader)
                try:
                    answer = await self._answer(request)
                except RegistryError as exc:
                    answer = exc.answer
                log.debug("served", extra={"path": request.path, "status": answer.status})
                await self._send(writer, request, answer)
                if request.headers.get("connection", "").lower() == "close":
                    break
        except (ConnectionError, TimeoutError, ValueError, EOFError, asyncio.LimitOverrunError):
            pass  # The client went away or does not speak HTTP.
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, request: Request, answer: Answer) -> None:
        size = self._storage.blob_size(answer.blob) if answer.blob else len(answer.body)
        headers = {
            "docker-distribution-api-version": "registry/2.0",
            "content-length": str(size),
            **answer.headers,
        }
        lines = [f"HTTP/1.1 {answer.status} -", *[f"{k}: {v}" for k, v in headers.items()], "", ""]
        writer.write("\r\n".join(lines).encode("latin-1"))
        if request.method != "HEAD":
            writer.write(answer.body)
            if answer.blob:
                with self._storage.open_blob(answer.blob) as file:
                    while piece := file.read(PIECE_BYTES):
                        writer.write(piece)
                        await writer.drain()
        await writer.drain()

    async def _answer(self, request: Request) -> Answer:
        if request.path in ("/v2/", "/v2"):
            return Answer(200, {"content-type": "application/json"}, b"{}")
        if request.path == "/v2/_catalog":
            names = self._storage.repositories()
            return Answer(200, body=json.dumps({"repositories": names}).encode())
        route = _ROUTE.match(request.path)
        if route is None:
            raise RegistryError(404, "NAME_UNKNOWN", f"no such path {request.path}")
        what, rest = route["what"], route["rest"]
        if request.method not in ("GET", "HEAD"):
            self._authorize(request)
        name = self._repository(route["name"], request.query.get("ns", ""))
        try:
            if what == "tags":
                body = {"name": name.path, "tags": self._storage.tags(name.repository)}
                return Answer(200, body=json.dumps(body).encode())
            if what == "manifests":
                return await self._manifests(request, name, rest)
            if rest.startswith("uploads"):
                return await self._upload(request, route["name"], rest)
            return self._blob(rest)
        except (ValueError, KeyError) as exc:
            raise RegistryError(400, "MANIFEST_INVALID", str(exc)) from exc

    def _authorize(self, request: Request) -> None:
        given = request.headers.get("authorization", "").partition(" ")[2]
        wanted = str.__str__(self._push_token)
        if not wanted or not hmac.compare_digest(given.encode(), wanted.encode()):
            raise RegistryError(403, "DENIED", "requested access to the resource is denied")

    def _repository(self, name: str, namespace: str) -> Reference:
        try:
            return parse(f"{namespace}/{name}" if namespace else name)
        except ValueError as exc:
            raise RegistryError(400, "NAME_INVALID", str(exc)) from exc

    async def _manifests(self, request: Request, name: Reference, which: str) -> Answer:
        separator = "@" if which.startswith("sha256:") else ":"
        reference = parse(f"{name.repository}{separator}{which}")
        if request.method == "PUT":
            data = b"".join([piece async for piece in _bounded(request)])
            digest = self._storage.put_manifest(reference, data)
            return Answer(201, {"docker-content-digest": digest, "location": request.path})
        digest_found = self._storage.resolve(reference)
        if digest_found is None:
            raise RegistryError(404, "MANIFEST_UNKNOWN", f"manifest unknown: {reference}")
        with self._storage.open_blob(digest_found) as file:
            body = file.read(manifest.DOCUMENT_BYTES_MAX)
        kind = manifest.decode(body).get("mediaType", manifest.MANIFEST_TYPES[0])
        return Answer(200, {"content-type": kind, "docker-content-digest": digest_found}, body)

    def _blob(self, digest: str) -> Answer:
        if not self._storage.has_blob(digest):
            raise RegistryError(404, "BLOB_UNKNOWN", f"blob unknown: {digest}")
        headers = {"content-type": "application/octet-stream", "docker-content-digest": digest}
        return Answer(200, headers, blob=digest)

    async def _upload(self, request: Request, name: str, rest: str) -> Answer:
        session = rest.removeprefix("uploads").strip("/")
        if request.method == "POST":
            if len(self._uploads) >= UPLOADS_MAX:
                raise RegistryError(429, "TOOMANYREQUESTS", "too many uploads at once")
            session = secrets.token_hex(16)
            self._uploads[session] = self._storage.new_upload(session)
        file = self._uploads.get(session)
        if file is None:
            raise RegistryError(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown")
        async for piece in request.body():
            file.write(piece)
        location = {
            "location": f"/v2/{name}/blobs/uploads/{session}",
            "docker-upload-uuid": session,
        }
        digest = request.query.get("digest")
        if digest is None:
            return Answer(202, location | {"range": f"0-{max(0, file.tell() - 1)}"})
        del self._uploads[session]
        try:
            file.seek(0)
            if _digest_of_file(file) != digest:
                raise RegistryError(400, "DIGEST_INVALID", "provided digest did not match content")
            self._storage.keep_blob(file, digest)
        finally:
            self._discard(file)
        return Answer(
            201, {"location": f"/v2/{name}/blobs/{digest}", "docker-content-digest": digest}
        )


def _digest_of_file(file: IO[bytes]) -> str:
    import hashlib

    proof = hashlib.sha256()
    while piece := file.read(PIECE_BYTES):
        proof.update(piece)
    return f"sha256:{proof.hexdigest()}"


async def _bounded(request: Request) -> AsyncIterator[bytes]:
    size = 0
    async for piece in request.body():
        size += len(piece)
        if size > manifest.DOCUMENT_BYTES_MAX:
            raise RegistryError(413, "SIZE_INVALID", "manifest is too large")
        yield piece


def _parse(head: bytes, reader: asyncio.StreamReader) -> Request:
    first, *rest = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.split(":", 1) for line in rest if ":" in line)
    headers = {key.strip().lower(): value.strip() for key, value in pairs}
    url = urlsplit(target)
    query = {key: values[0] for key, values in parse_qs(url.query).items()}
    return Request(method, url.path, query, headers, reader)
