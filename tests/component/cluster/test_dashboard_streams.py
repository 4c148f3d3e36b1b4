"""Many streams over one WebSocket, against a WebSocket peer that is not ours."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import websockets
from websockets.asyncio.client import ClientConnection

from tiphys.cluster.dashboard.stream_multiplexer import STREAMS_MAX, StreamMultiplexer
from tiphys.lib.http.client import HttpClient
from tiphys.lib.http.flow import BodyWriter
from tiphys.lib.http.message import Answer, Request, Response, StreamResponse, UpgradeResponse
from tiphys.lib.http.server import HttpServer
from tiphys.lib.http.websocket import accept_key


class Streaming:
    """The targets that are streamed at the moment."""

    def __init__(self) -> None:
        self._targets: set[str] = set()
        self._changed = asyncio.Event()

    def add(self, target: str) -> None:
        self._targets.add(target)
        self._changed.set()

    def discard(self, target: str) -> None:
        self._targets.discard(target)
        self._changed.set()

    async def are(self, targets: set[str]) -> None:
        async with asyncio.timeout(5):
            while self._targets != targets:
                self._changed.clear()
                await self._changed.wait()


Talk = Callable[[ClientConnection, Streaming], Awaitable[None]]


def with_page(talk: Talk) -> None:
    """talk gets a page's connection; what it left open must end with it."""

    async def story() -> None:
        streaming = Streaming()
        upstream = HttpServer(lambda request: answer(request, streaming), tls=None)
        port = await upstream.listen("127.0.0.1", 0)
        multiplexer = StreamMultiplexer(HttpClient(f"http://127.0.0.1:{port}"))
        front = HttpServer(lambda request: upgrade(request, multiplexer), tls=None)
        port = await front.listen("127.0.0.1", 0)
        try:
            async with asyncio.timeout(20), websockets.connect(f"ws://127.0.0.1:{port}/") as page:
                await talk(page, streaming)
            await streaming.are(set())
        finally:
            await front.stop()
            await upstream.stop()

    asyncio.run(story())


def upgrade(request: Request, multiplexer: StreamMultiplexer) -> Answer:
    accept = accept_key(request.headers["sec-websocket-key"])
    lines = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept))
    return UpgradeResponse(multiplexer.serve, lines)


def answer(request: Request, streaming: Streaming) -> Answer:
    if request.raw_path == "/missing":
        body = json.dumps({"kind": "Status", "message": "pods is gone", "code": 410}).encode()
        return Response(410, body)

    async def follow(body: BodyWriter) -> None:
        streaming.add(request.target)
        try:
            body.write(f"first of {request.target}\nsec".encode())
            await asyncio.sleep(0.02)
            body.write(b"ond\nlast")
            if request.raw_path == "/endless":
                await asyncio.Event().wait()
        finally:
            streaming.discard(request.target)

    return StreamResponse(200, follow)


async def say(page: ClientConnection, **order: object) -> None:
    await page.send(json.dumps(order))


async def until_end(page: ClientConnection) -> tuple[list[str], list[dict[str, object]]]:
    """Lines and what was said, until a stream ends."""
    lines: list[str] = []
    said: list[dict[str, object]] = []
    while not (said and said[-1].get("end")):
        message = await page.recv()
        if isinstance(message, bytes):
            number, *more = message.decode().split("\n")
            lines += [f"{number}: {line}" for line in more]
        else:
            said.append(json.loads(message))
    return lines, said


def test_passes_on_whole_lines_and_the_end() -> None:
    async def talk(page: ClientConnection, streaming: Streaming) -> None:
        await say(page, open=7, path="/short")
        lines, said = await until_end(page)
        assert lines == ["7: first of /short", "7: second", "7: last"]
        assert said == [{"id": 7, "status": 200}, {"id": 7, "end": True}]

    with_page(talk)


def test_streams_are_independent_and_end_with_the_page() -> None:
    async def talk(page: ClientConnection, streaming: Streaming) -> None:
        for number in (1, 2, 3):
            await say(page, open=number, path=f"/endless?{number}")
        await say(page, open=4, path="/short")
        await until_end(page)
        await say(page, close=2)
        await streaming.are({"/endless?1", "/endless?3"})

    with_page(talk)


def test_tells_why_a_stream_is_refused() -> None:
    async def talk(page: ClientConnection, streaming: Streaming) -> None:
        await say(page, open=1, path="/missing")
        _, said = await until_end(page)
        assert said[-1] == {"id": 1, "end": True, "status": 410, "error": "pods is gone"}
        await say(page, open=2, path="/api/v1/namespaces/a/pods/b/proxy/")
        _, said = await until_end(page)
        assert said[-1]["status"] == 403
        await say(page, open=3, path="no path\r\nX: y")
        _, said = await until_end(page)
        assert "request target" in str(said[-1]["error"])

    with_page(talk)


def test_bounds_the_streams_of_a_page() -> None:
    async def talk(page: ClientConnection, streaming: Streaming) -> None:
        for number in range(STREAMS_MAX + 1):
            await say(page, open=number, path=f"/endless?{number}")
        _, said = await until_end(page)
        assert said[-1]["id"] == STREAMS_MAX
        assert str(STREAMS_MAX) in str(said[-1]["error"])

    with_page(talk)
