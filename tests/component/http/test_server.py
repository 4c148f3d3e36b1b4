"""The HTTP server over real sockets: what each sentence of its module says."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from support.throwaway_pki import Authority
from tiphys.lib import tls
from tiphys.lib.http.flow import BodyWriter, RawStream
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

BIG = [b"%08d" % i * 1000 for i in range(600)]  # 4.8 MB in pieces of 8 KB.


async def slow(request: Request) -> Answer:
    await asyncio.sleep(0.01)
    return text_response(200, f"slow {len(request.body)}")


async def count(body: BodyWriter) -> None:
    for number in range(3):
        body.write(b"%d\n" % number)
        await body.drain()


async def until_stop(body: BodyWriter) -> None:
    body.write(b"begun\n")
    await body.stopping.wait()
    body.write(b"ended\n")


async def shout(stream: RawStream) -> None:
    while data := await stream.read():
        stream.write(data.upper())
        await stream.drain()


def handle(request: Request) -> Answer | Awaitable[Answer]:
    match request.raw_path:
        case "/fast":
            return text_response(200, f"{request.method} {request.params()}")
        case "/slow":
            return slow(request)
        case "/count":
            return StreamResponse(200, count)
        case "/unchanged":
            return StreamResponse(304, count)
        case "/until-stop":
            return StreamResponse(200, until_stop)
        case "/big":
            return Response(200, Pieces(sum(map(len, BIG)), lambda: iter(BIG)))
        case "/shout":
            if request.wants_upgrade:
                return UpgradeResponse(shout, (("Upgrade", "shout"), ("Connection", "Upgrade")))
            return text_response(400, "no upgrade asked")
        case "/bug":
            raise RuntimeError("a bug")
        case "/peer":
            return text_response(200, str(request.peer_certificate is not None))
    return text_response(404, "no such path")


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter, HttpServer], Awaitable[None]]


def with_server(talk: Talk, limits: Limits | None = None) -> None:
    async def story() -> None:
        server = HttpServer(handle, tls=None, limits=limits)
        port = await server.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.wait_for(talk(reader, writer, server), 20)
        finally:
            writer.close()
            await server.stop()

    uvloop.run(story())


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lines = head.split("\r\n")
    headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines[1:] if line)}
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    return int(lines[0].split()[1]), headers, body


def test_a_connection_goes_on_after_an_unknown_method() -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: HttpServer
    ) -> None:
        for method, body in (("FOO", b"FOO {}"), ("GET", b"GET {}"), ("BAR", b"BAR {}")):
            writer.write(f"{method} /fast HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert (await answer(reader))[2] == body

    with_server(talk)


def test_answers_pipelined_requests_in_their_order() -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: HttpServer
    ) -> None:
        for path in ("/slow", "/fast?a=1", "/count", "/unchanged", "/fast"):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        bodies = [(await answer(reader))[2] for _ in range(5)]
        assert bodies == [b"slow 0", b"GET {'a': ['1']}", b"0\n1\n2\n", b"", b"GET {}"]

    with_server(talk)


@pytest.mark.parametrize(
    ("request_bytes", "status", "body"),
    [
        pytest.param(b"GET /bug HTTP/1.1\r\n\r\n", 500, b"internal error", id="bug"),
        pytest.param(b"FOO /fast HTTP/1.1\r\n\r\n", 200, b"FOO {}", id="unknown-method"),
        pytest.param(b"F(O /fast HTTP/1.1\r\n\r\n", 400, b"malformed HTTP request", id="no-method"),
        pytest.param(b"rubbish\r\n\r\n", 400, b"malformed HTTP request", id="rubbish"),
        pytest.param(
            b"POST /slow HTTP/1.1\r\nContent-Length: 2000\r\n\r\n", 413, b"limit is 1000", id="413"
        ),
        pytest.param(
            b"POST /slow HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 2000,
            413,
            b"limit is 1000",
            id="413-chunked",
        ),
        pytest.param(
            b"GET /fast HTTP/1.1\r\na: " + b"x" * 3000 + b"\r\n\r\n",
            431,
            b"request header fields too large",
            id="431",
        ),
        pytest.param(
            b"POST /slow HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            200,
            b"slow 3",
            id="chunked-body",
        ),
        pytest.param(
            b"GET /shout HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\nHost: x\r\n\r\n",
            101,
            b"",
            id="101",
        ),
    ],
)
def test_answers_of_single_requests(request_bytes: bytes, status: int, body: bytes) -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: HttpServer
    ) -> None:
        writer.write(request_bytes)
        got_status, _, got_body = await answer(reader)
        assert (got_status, got_body) == (status, body)

    with_server(talk, Limits(body_bytes_max=1000, head_bytes_max=2000))


def test_a_waiting_client_is_told_to_continue() -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: HttpServer
    ) -> None:
        writer.write(b"POST /slow HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await answer(reader))[0] == 100
        writer.write(b"ab")
        assert (await answer(reader))[2] == b"slow 2"

    with_server(talk)


def test_a_big_body_arrives_whole_and_leaves_the_loop_free() -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: HttpServer
    ) -> None:
        writer.write(b"GET /big HTTP/1.1\r\n\r\nGET /fast HTTP/1.1\r\n\r\n")
        assert (await answer(reader))[2] == b"".join(BIG)
        assert (await answer(reader))[0] == 200

    with_server(talk)


def test_an_upgraded_stream_belongs_to_the_handler() -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: HttpServer
    ) -> None:
        writer.write(b"GET /shout HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nearly ")
        status, headers, _ = await answer(reader)
        assert (status, headers["upgrade"]) == (101, "shout")
        writer.write(b"late")
        assert await reader.readexactly(10) == b"EARLY LATE"

    with_server(talk)


def test_an_upgrade_that_is_declined_leaves_the_connection_usable() -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: HttpServer
    ) -> None:
        writer.write(b"GET /fast HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        assert (await answer(reader))[0] == 200
        writer.write(b"GET /slow HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        writer.write(b"GET /fast HTTP/1.1\r\n\r\n")
        assert [(await answer(reader))[0] for _ in range(2)] == [200, 200]

    with_server(talk)


def test_stop_tells_streams_and_waits_for_their_end() -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: HttpServer
    ) -> None:
        writer.write(b"GET /until-stop HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"begun\n")
        await server.stop(grace_seconds=5)
        assert await reader.read() == b"\r\n6\r\nended\n\r\n0\r\n\r\n"
        assert server.connection_count == 0

    with_server(talk)


def test_idle_connections_are_closed() -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: HttpServer
    ) -> None:
        assert await reader.read() == b""

    with_server(talk, Limits(idle_seconds_max=0.01, sweep_seconds=0.02))


@pytest.mark.parametrize(("shown", "seen"), [(True, b"True"), (False, b"False")])
def test_the_handler_sees_the_clients_certificate(
    tmp_path: Path, *, shown: bool, seen: bytes
) -> None:
    authority = Authority(tmp_path)
    context = tls.server_context(*authority.issue("server", server=True), [authority.path])
    leaf = authority.issue("client", common_name="someone")
    client = tls.client_context(authority.path, *(leaf if shown else ()))

    async def story() -> None:
        server = HttpServer(handle, tls=context)
        port = await server.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        writer.write(b"GET /peer HTTP/1.1\r\n\r\n")
        assert (await answer(reader))[2] == seen
        ssl_object = writer.get_extra_info("ssl_object")
        assert isinstance(ssl_object, ssl.SSLObject)
        assert ssl_object.version() == "TLSv1.3"
        writer.close()
        await server.stop()

    uvloop.run(story())
