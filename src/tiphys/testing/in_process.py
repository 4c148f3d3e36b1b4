"""Requests of components that live in the API server's process: the same handler, no sockets.

They are authenticated, authorized and answered as all others. Without sockets it is known when
there is nothing left to do, which is what lets time be virtual; and a request costs a tenth.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Mapping
from typing import Final

from tiphys.client.rest import Transport
from tiphys.lib.http.client import Answer, HttpError, Stream
from tiphys.lib.http.flow import BodyWriter, FlowControl
from tiphys.lib.http.message import (
    Handler,
    Peer,
    Request,
    Response,
    StreamResponse,
    UpgradeResponse,
)
from tiphys.lib.tasks import TaskSet

HOST: Final = "in-process"
STREAM_BYTES_MAX: Final = 16 << 20  # Unread; the server drops who does not read as over a socket.


class Door:
    """Where components find the server; while it is closed, there is no answer."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.is_open = False
        self.stopping = asyncio.Event()
        self.tasks = TaskSet()
        self._streams: set[InProcessStream] = set()

    def open(self) -> None:
        self.is_open = True
        self.stopping = asyncio.Event()

    async def close(self) -> None:
        """Cut off everybody, as a process that ends."""
        self.is_open = False
        self.stopping.set()
        for stream in list(self._streams):
            stream.abort()
        await self.tasks.close()

    def transport(self, certificate: bytes) -> Transport:
        """For a client that shows this certificate (DER), or a token instead."""

        def open_for(headers: Mapping[str, str]) -> InProcessHttp:
            shown = None if "Authorization" in headers else certificate
            return InProcessHttp(self, Peer("127.0.0.1", shown), headers)

        return open_for

    def begin(self, stream: "InProcessStream", answer: StreamResponse) -> None:
        self._streams.add(stream)
        stream.task = self.tasks.start(self._follow(stream, answer), "in-process stream")

    async def _follow(self, stream: "InProcessStream", answer: StreamResponse) -> None:
        try:
            await answer.write_body(stream.writer(self.stopping))
        except ConnectionError:
            pass  # The reader left.
        finally:
            self._streams.discard(stream)
            stream.end()


class InProcessHttp:
    """What rest.Client asks of HTTP."""

    host = HOST

    def __init__(self, door: Door, peer: Peer, headers: Mapping[str, str]) -> None:
        self.headers = dict(headers)
        self._door = door
        self._peer = peer

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_seconds: float = 60.0,
    ) -> Answer:
        """The whole answer. Raises HttpError (no answer) or TimeoutError."""
        try:
            async with asyncio.timeout(timeout_seconds):
                stream = await self.stream(method, target, headers=headers, body=body)
                try:
                    chunks = [chunk async for chunk in stream.chunks()]
                finally:
                    stream.close()
        except TimeoutError:
            raise TimeoutError(f"{method} {target}: no answer in {timeout_seconds:g} s") from None
        return Answer(stream.status, stream.headers, b"".join(chunks))

    async def stream(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Stream:
        """The answer's head; the caller reads the body and closes. Raises HttpError."""
        if not self._door.is_open:
            raise HttpError(f"{method} {target}: cannot connect: the API server is down")
        sent = {k.lower(): v for k, v in {**self.headers, **(headers or {})}.items()}
        work = self._door.handler(Request(method, target, sent, body, self._peer))
        answer = await work if isinstance(work, Awaitable) else work
        if isinstance(answer, UpgradeResponse):
            raise HttpError(f"{method} {target}: the connection was closed")
        stream = InProcessStream(answer.status, dict(_lowered(answer)))
        if isinstance(answer, StreamResponse):
            self._door.begin(stream, answer)
        else:
            stream.write(answer.body if isinstance(answer.body, bytes) else b"".join(answer.body))
            stream.end()
        return stream

    def close(self) -> None:
        """Nothing is kept between requests."""


def _lowered(answer: Response | StreamResponse) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in answer.headers]


class InProcessStream(Stream):
    """The reader's end, and the transport that the server's BodyWriter writes to."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.task: asyncio.Task[None] | None = None
        self._flow = FlowControl()
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._broken = False
        self._turn: asyncio.Future[None] | None = None

    def writer(self, stopping: asyncio.Event) -> BodyWriter:
        return BodyWriter(self, self._flow, chunked=False, stopping=stopping)

    async def read(self) -> bytes:
        """The next chunk; empty at the end. Raises HttpError when the connection broke."""
        while not self._chunks:
            if self._broken:
                raise HttpError("the connection was closed")
            if self._ended:
                return b""
            self._turn = asyncio.get_running_loop().create_future()
            await self._turn
        chunk = self._chunks.popleft()
        self._size -= len(chunk)
        if not self._flow.writable and self._size < STREAM_BYTES_MAX // 2:
            self._flow.resume()
        return chunk

    def close(self) -> None:
        """The reader leaves."""
        self._flow.close()
        if self.task is not None and not self._ended:
            self.task.cancel()

    def end(self) -> None:
        """The writer is done."""
        self._ended = True
        self._wake()

    # --- the server's side, in place of a socket's transport

    def write(self, data: bytes) -> None:
        if not data or self._flow.closed:
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._size > STREAM_BYTES_MAX:
            self._flow.pause()
        self._wake()

    def abort(self) -> None:
        self._broken = True
        self._flow.close()
        self._wake()

    def get_write_buffer_size(self) -> int:
        return self._size

    def _wake(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)
