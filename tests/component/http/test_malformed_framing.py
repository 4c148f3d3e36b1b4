"""Bytes that are no HTTP, or nearly: an answer below 500 or a closed connection, never an error.

The protocols are fed directly, as a socket would, so that many thousand connections take seconds.
"""

import asyncio
import logging
import random
import re
from typing import Any, Final

import pytest
import uvloop
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiphys.lib.http.connection import Connection
from tiphys.lib.http.http2 import Http2Connection
from tiphys.lib.http.message import Request, Response, text_response
from tiphys.lib.http.server import HttpServer

CASES: Final = 500
CASES_OF_E2E: Final = 50_000
ANSWER_BYTES_MAX: Final = 1 << 20  # Of one connection that sent some kilobytes.
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3}) ")
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Wire(asyncio.Transport):
    """What a connection writes to; it is a peer that reads everything."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.is_closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


def handle(request: Request) -> Response:
    """As the API server does, it reads what it was sent."""
    request.params()
    return text_response(200, request.method + request.path)


_LINES: Final = (
    b"GET / HTTP/1.1", b"GET /a?b=c HTTP/1.1", b"POST /a HTTP/1.1", b"GET / HTTP/1.0",
    b"GET / HTTP/9.9",
    b"GET", b"GET /", b"GET  / HTTP/1.1", b"FOO / HTTP/1.1", b"G\x00T / HTTP/1.1",
    b" GET / HTTP/1.1",
    b"GET http://x/ HTTP/1.1", b"GET * HTTP/1.1", b"OPTIONS * HTTP/1.1", b"CONNECT x:1 HTTP/1.1",
    b"GET /%zz%00?%zz HTTP/1.1", b"GET /\xff\xfe HTTP/1.1", b"PRI * HTTP/2.0", b"",
    b"\x16\x03\x01\x02\x00",
    b"GET /" + b"x" * 5000 + b" HTTP/1.1", b"X" * 400 + b" / HTTP/1.1", b"HTTP/1.1 200 OK",
)  # fmt: skip
_HEADERS: Final = (
    b"Host: x", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: x",
    b"Content-Length: 5, 5",
    b"Content-Length: 99999999999999999999", b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: x", b"Connection: close", b"Connection: upgrade", b"Upgrade: h2c",
    b"Upgrade: websocket",
    b"Expect: 100-continue", b"Expect: x", b"X", b": x", b"X : y", b"X: \x00", b" folded",
    b"X: " + b"y" * 9000,
    b"\xff: \xff", b"Content-Type:", b"Content-Encoding: gzip", b"Cookie: a", b"Cookie: b",
    b"X\r: y", b"X: y\r\rz",
)  # fmt: skip
_BODIES: Final = (
    b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"5;x=y\r\nhello\r\n0\r\nT: x\r\n\r\n",
    b"ffffffffffffffff\r\nx", b"-1\r\n",
    b"zz\r\n", b"5\r\nhelloX", b"0\r\n\r\n", b"5\nhello\n0\n\n", b"1\r\n" * 50,
)  # fmt: skip


def http1_bytes(rng: random.Random) -> list[bytes]:
    """Requests of lines that are right or wrong, in pieces as they may arrive."""
    data = b""
    for _ in range(rng.randrange(1, 4)):
        end = rng.choice((b"\r\n",) * 8 + (b"\n", b"\r"))
        lines = [rng.choice(_LINES[:3] if rng.random() < 0.6 else _LINES)]
        lines += rng.choices(_HEADERS, k=rng.randrange(5))
        data += end.join([*lines, b"", b""]) + rng.choice(_BODIES)
    if rng.random() < 0.3:
        at = rng.randrange(len(data))
        data = data[:at] + rng.randbytes(rng.randrange(3)) + data[at + rng.randrange(2) :]
    return cut(rng, data)


def cut(rng: random.Random, data: bytes) -> list[bytes]:
    if rng.random() < 0.5:
        return [data]
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 4)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def http2_bytes(rng: random.Random) -> list[bytes]:
    """Frames in any order, some of them changed, behind a preface that is mostly right."""
    data = PREFACE if rng.random() < 0.97 else PREFACE[: rng.randrange(24)] + b"x"
    data += b"".join(a_frame(rng) for _ in range(rng.randrange(8)))
    if rng.random() < 0.3 and len(data) > 25:
        at = rng.randrange(24, len(data))
        data = data[:at] + rng.randbytes(1) + data[at + rng.randrange(2) :]
    return cut(rng, data)


# HPACK: GET / https x; POST /a; an index out of the table; a size of the table; nonsense.
_BLOCKS: Final = (
    b"\x82\x84\x87\x41\x01x", b"\x83\x44\x02/a\x87\x41\x01x", b"\xff\xff\xff\xff\x7f",
    b"\x3f\xff\xff\xff\x7f", b"\x00",
    b"\x82", b"\x40\x01A\x01b", b"\x82\x84\x87\x41\x01x\x00\x0acontent-length\x01x",
    b"\x84\x82\x87\x00\x01 \x01\n",
)  # fmt: skip


def a_frame(rng: random.Random) -> bytes:
    stream = rng.choice((1, 1, 1, 3, 5, 0, 2, 2**31 - 1))
    block = rng.choice(_BLOCKS) if rng.random() < 0.8 else rng.randbytes(rng.randrange(20))
    flags = [f for f in ("END_HEADERS", "END_STREAM") if rng.random() < 0.7]
    one = stream or 1
    frames: list[Frame] = [
        HeadersFrame(one, data=block, flags=flags),
        HeadersFrame(one, data=block, flags=flags),
        ContinuationFrame(one, data=block, flags=["END_HEADERS"] if rng.random() < 0.5 else []),
        DataFrame(
            one, data=rng.randbytes(rng.randrange(50)), flags=[f for f in flags if "STREAM" in f]
        ),
        SettingsFrame(0, settings={rng.randrange(9): rng.choice((0, 1, 2**31, 2**32 - 1, 16384))}),
        SettingsFrame(0, flags=["ACK"]),
        PingFrame(0, opaque_data=b"12345678"),
        RstStreamFrame(one, error_code=rng.randrange(20)),
        WindowUpdateFrame(stream, window_increment=rng.choice((1, 2**31 - 1, 65535))),
        PriorityFrame(one, depends_on=rng.choice((0, one, 9)), stream_weight=1),
        GoAwayFrame(0, last_stream_id=rng.randrange(9), error_code=0),
    ]
    data = rng.choice(frames).serialize()
    if rng.random() < 0.15:  # Another length, type, flags or stream than it has.
        at = rng.randrange(9)
        data = data[:at] + rng.randbytes(1) + data[at + 1 :]
    return data


async def fed(server: HttpServer, pieces: list[bytes], *, is_http2: bool) -> Wire:
    protocol = Http2Connection(server) if is_http2 else Connection(server)
    wire = Wire()
    protocol.connection_made(wire)
    for piece in pieces:
        protocol.data_received(piece)
        await asyncio.sleep(0)
        if wire.is_closed:
            break
    protocol.eof_received()
    protocol.connection_lost(None)
    return wire


def check(count: int, *, is_http2: bool, derandomize: bool) -> None:
    make = http2_bytes if is_http2 else http1_bytes
    loop = uvloop.new_event_loop()
    server = HttpServer(handle, tls=None)

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=derandomize,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**48).map(lambda seed: make(random.Random(seed))))
    def every(pieces: list[bytes]) -> None:
        wire = loop.run_until_complete(fed(server, pieces, is_http2=is_http2))
        assert len(wire.sent) < ANSWER_BYTES_MAX
        if not is_http2:
            assert all(int(status) < 500 for status in _STATUS.findall(wire.sent)), wire.sent
        assert server.connection_count == 0

    try:
        every()
    finally:
        loop.run_until_complete(server.stop())
        loop.close()


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.WARNING)
    yield
    assert [r.getMessage() for r in caplog.get_records("call") if r.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("is_http2", [False, True], ids=["http1", "http2"])
def test_some_broken_connections(*, is_http2: bool) -> None:
    check(CASES, is_http2=is_http2, derandomize=True)


@pytest.mark.slow
@pytest.mark.parametrize("is_http2", [False, True], ids=["http1", "http2"])
def test_very_many_broken_connections(*, is_http2: bool) -> None:
    check(CASES_OF_E2E, is_http2=is_http2, derandomize=False)
