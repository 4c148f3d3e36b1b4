"""An HTTP/2 server for tests: its handler has a path for every trouble; and one client of it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from support.http2_client import Http2Client
from support.throwaway_pki import Authority
from tiphys.lib import tls
from tiphys.lib.http.flow import BodyWriter
from tiphys.lib.http.message import (
    Answer,
    Pieces,
    Request,
    Response,
    StreamResponse,
    UpgradeResponse,
    text_response,
)
from tiphys.lib.http.server import HttpServer, Limits

BIG = b"".join(b"%08d" % i * 1000 for i in range(600))  # 4.8 MB
PIECES = [BIG[at : at + 8000] for at in range(0, len(BIG), 8000)]


class Handler:
    """Answers, and remembers what the server did with its streams."""

    def __init__(self) -> None:
        self.cancelled = 0
        self.written = 0
        self.gate = asyncio.Event()

    def __call__(self, request: Request) -> Answer | Awaitable[Answer]:
        match request.raw_path:
            case "/fast":
                host = request.headers["host"]
                return text_response(200, f"{request.method} {request.params()} {host}")
            case "/echo":
                return Response(200, request.body, (("Content-Type", "x/y"), ("Connection", "no")))
            case "/cookie":
                return text_response(200, request.headers["cookie"])
            case "/gate":
                return self.wait()
            case "/unchanged":
                return StreamResponse(304, self.forever)
            case "/forever":
                return StreamResponse(200, self.forever)
            case "/until-stop":
                return StreamResponse(200, self.until_stop)
            case "/much":
                return StreamResponse(200, self.much)
            case "/big":
                return Response(200, Pieces(len(BIG), lambda: iter(PIECES)))
            case "/big-bytes":
                return Response(200, BIG)
            case "/long-head":
                return Response(200, b"short", (("X-Long", "a" * 20_000),))
            case "/upgrade":
                return UpgradeResponse(self.never)
            case "/bug":
                raise RuntimeError("a bug")
            case "/bug-in-stream":
                return StreamResponse(200, self.broken)
        return text_response(404, "no such path")

    async def wait(self) -> Answer:
        await self.gate.wait()
        return text_response(200, "open")

    async def never(self, stream: object) -> None:
        raise AssertionError("there are no upgrades here")

    async def forever(self, body: BodyWriter) -> None:
        try:
            body.write(b"begun\n")
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def until_stop(self, body: BodyWriter) -> None:
        body.write(b"begun\n")
        await body.stopping.wait()
        body.write(b"ended\n")

    async def much(self, body: BodyWriter) -> None:
        for _ in range(100):
            body.write(b"x" * 10_000)
            self.written += 10_000
            await body.drain()

    async def broken(self, body: BodyWriter) -> None:
        body.write(b"begun\n")
        raise RuntimeError("a bug")


Talk = Callable[[Http2Client, Handler, HttpServer], Awaitable[None]]


def with_server(
    tmp_path: Path, talk: Talk, *, limits: Limits | None = None, window: int = 65_535
) -> None:
    authority = Authority(tmp_path)
    context = tls.server_context(*authority.issue("server", server=True))
    tls.offer_http2(context)

    async def story() -> None:
        handler = Handler()
        server = HttpServer(handler, tls=context, limits=limits)
        port = await server.listen("127.0.0.1", 0)
        trust = tls.client_context(authority.path)
        client = await Http2Client.connect(port, trust, window=window)
        try:
            await asyncio.wait_for(talk(client, handler, server), 30)
        finally:
            await client.close()
            await server.stop()

    uvloop.run(story())
