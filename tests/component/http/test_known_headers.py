"""Headers that were read before are not read again: answers are the same as if they were."""

import asyncio
import json

import pytest
import uvloop

from tiphys.lib.http import connection
from tiphys.lib.http.message import Request, Response
from tiphys.lib.http.server import HttpServer

HEADERS = b"Host: x\r\nUser-Agent: kubectl/v1.33\r\nAccept: application/json\r\n\r\n"
GET = b"GET /a?b=c HTTP/1.1\r\n" + HEADERS
POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: "
CHUNKED = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
CLOSE = b"GET /close HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

# Pieces as they come from the wire, one after the other has been taken.
PIECES = [
    pytest.param([GET, GET, GET], id="again and again"),
    pytest.param([GET, b"DELETE /d HTTP/1.1\r\n" + HEADERS, GET], id="another line"),
    pytest.param([GET + GET, GET], id="two at once"),
    pytest.param([GET, GET[:9], GET[9:], GET], id="in two pieces"),
    pytest.param([GET, b"FOR", GET], id="a method that ends in another"),
    pytest.param([GET, POST + b"99\r\n\r\n", GET], id="a body like it"),
    pytest.param([GET, POST + b"2\r\n\r\nab", POST + b"2\r\n\r\ncd", GET], id="bodies"),
    pytest.param([GET, POST + b"2\r\n\r\nab", POST + b"2\r\n\r\n", b"cd"], id="a body later"),
    pytest.param([GET, POST + b"2\r\n\r\nab", POST + b"2\r\n\r\ncd" + GET], id="and more"),
    pytest.param([GET, POST + b"0\r\n\r\n", POST + b"0\r\n\r\n" + GET], id="an empty body"),
    pytest.param([GET, POST + b"2\r\nContent-Length: 3\r\n\r\nabc"], id="two lengths"),
    pytest.param([GET, CHUNKED, CHUNKED], id="chunks"),
    pytest.param([GET, b"FETCH /f HTTP/1.1\r\n" + HEADERS, GET], id="an unknown method"),
    pytest.param([b"PURGE /p HTTP/1.1\r\n" + HEADERS, GET], id="the stand-in of such"),
    pytest.param([GET, b"GET /x HTTP/1.0\r\n" + HEADERS], id="an older version"),
    pytest.param([GET, b"GET /a b HTTP/1.1\r\n" + HEADERS], id="a bad line"),
    pytest.param([GET, b"GET /a\x01 HTTP/1.1\r\n" + HEADERS], id="a control character"),
    pytest.param([GET, CLOSE, GET], id="closed by the client"),
    pytest.param([GET, b"HEAD /h HTTP/1.1\r\n" + HEADERS, GET], id="a head only"),
]


def _tell(request: Request) -> Response:
    headers = dict(request.headers)
    request.headers["seen"] = "changed by a handler"
    told = [request.method, request.target, headers, len(request.body), request.keep_alive]
    return Response(200, json.dumps(told).encode() + b"\n")


async def _answers(pieces: list[bytes], *, forget: bool = False) -> bytes:
    """What comes back, without the date; with nothing kept between the pieces on demand."""
    server = HttpServer(_tell, tls=None)
    port = await server.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = b""
    try:
        for piece in pieces:
            if forget:
                connection._heads.clear()
            writer.write(piece)
            try:
                # A piece without an answer must have been taken before the next is sent.
                found += await asyncio.wait_for(reader.read(65536), 0.05)
            except TimeoutError:
                continue
            except ConnectionError:
                break
        writer.write_eof()
        found += await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
        await server.stop()
    return b"\n".join(line for line in found.split(b"\n") if not line.startswith(b"Date:"))


@pytest.mark.parametrize("pieces", PIECES)
def test_the_same_as_if_they_were_read(pieces: list[bytes]) -> None:
    read = uvloop.run(_answers(pieces, forget=True))
    assert b"kubectl/v1.33" in read
    connection._heads.clear()
    assert uvloop.run(_answers(pieces)) == read
    assert connection._heads, "something was kept"
    assert uvloop.run(_answers(pieces)) == read
    assert not any("seen" in kept for kept, _ in connection._heads.values())


def test_what_is_kept_is_bounded() -> None:
    many = [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-N: %d\r\n\r\n" % n
        for n in range(connection._HEADS_MAX + 10)
    ]
    long = b"GET / HTTP/1.1\r\nX-Long: " + b"x" * connection._HEAD_BYTES_MAX + b"\r\n\r\n"

    async def ask() -> None:
        server = HttpServer(_tell, tls=None)
        port = await server.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for one in (*many, long):
            writer.write(one)
            await reader.readuntil(b"]\n")
        writer.close()
        await server.stop()

    connection._heads.clear()
    uvloop.run(ask())
    assert 0 < len(connection._heads) <= connection._HEADS_MAX
    assert all(len(kept) <= connection._HEAD_BYTES_MAX for kept in connection._heads)
