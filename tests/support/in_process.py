"""An API server that requests are handed to one after another, each answer in full."""

import asyncio
import gc
import json
import time
from pathlib import Path
from typing import Any, Final

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from support.api_server import memory_backend, start
from support.furnished import furnish
from support.odd_requests import OddRequest
from tiphys.codec import protobuf, yaml
from tiphys.lib.http.flow import BodyWriter, FlowControl
from tiphys.lib.http.message import Peer, Request, Response, StreamResponse

# What a client did wrong and upstream answers with 500, as the recordings show.
UPSTREAMS_500: Final = (
    "resourceVersion: Invalid value",
    "resourceVersion should not be set on objects to be created",
    "failed to create typed patch object",
    "target.name: Required value",
    "target.kind: Unsupported value",
    "the spec replicas field",
    "does not contain declared merge key",
    "unable to find api field in struct",
    "invalid typed merge-list",
    "doesn't match $setElementOrder list",
)


class Sink:
    """A transport that throws everything away."""

    def write(self, data: bytes) -> None: ...

    def abort(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


class Lab:
    """A furnished server that is asked without sockets: as the administrator, or by a token."""

    def __init__(self, directory: Path) -> None:
        self._loop = uvloop.new_event_loop()
        self.headers: dict[str, str] = {}  # Of the last answer, names in lower case.
        self.running, self._listening = self._loop.run_until_complete(
            start(directory, memory_backend())
        )
        pem = (directory / "admin.crt").read_bytes()
        self._admin = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        self._loop.run_until_complete(furnish(self.running))

    def close(self) -> None:
        self._loop.run_until_complete(self._listening.__aexit__())
        self._loop.close()

    def ask(self, asked: OddRequest, *, token: str = "") -> tuple[int, bytes, float]:
        """(status, body, seconds of CPU). Raises what the server lets through."""
        gc.disable()  # What the tests of this process have made is not the server's to look at.
        try:
            begun = time.process_time()
            status, body = self._loop.run_until_complete(self._answer(asked, token))
            return status, body, time.process_time() - begun
        finally:
            gc.enable()

    async def _answer(self, asked: OddRequest, token: str) -> tuple[int, bytes]:
        peer = Peer("127.0.0.1", None if token else self._admin)
        headers = asked.headers | ({"authorization": f"Bearer {token}"} if token else {})
        request = Request(asked.method, asked.target, dict(headers), asked.body, peer)
        work = self.running.server.handle(request)
        answer = await work if hasattr(work, "__await__") else work
        self.headers = {name.lower(): value for name, value in answer.headers}
        if isinstance(answer, StreamResponse):
            stopping = asyncio.Event()
            stopping.set()
            await answer.write_body(
                BodyWriter(Sink(), FlowControl(), chunked=True, stopping=stopping)
            )
            return answer.status, b""
        if isinstance(answer, Response):
            body = answer.body
            return answer.status, body if isinstance(body, bytes) else b"".join(body)
        return 101, b""


def status_of(body: bytes) -> dict[str, Any]:
    """In whichever form the client asked for; empty when it is none."""
    try:
        if body.startswith(protobuf.MAGIC):
            return protobuf.decode_object(body)
        return dict(json.loads(body) if body.startswith(b"{") else yaml.decode(body))
    except ValueError:
        return {}
