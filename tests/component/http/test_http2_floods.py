"""HTTP/2 clients that send what costs a server more than them: it ends them, or it is cheap."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import (
    ContinuationFrame,
    HeadersFrame,
    PingFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from support.http2_client import Http2Client
from support.http2_server import Handler, with_server
from tiphys.lib.http.frame_budget import FRAMES_MAX
from tiphys.lib.http.server import HttpServer

CALM = int(ErrorCodes.ENHANCE_YOUR_CALM)


def rapid_reset(client: Http2Client) -> None:
    for _ in range(FRAMES_MAX + 200):
        number = client.ask("GET", "/gate")
        client.frames.reset_stream(number, ErrorCodes.CANCEL)
        client.flush()


def pings(client: Http2Client) -> None:
    client.send_raw(PingFrame(0, opaque_data=b"12345678").serialize() * (FRAMES_MAX + 200))


def settings(client: Http2Client) -> None:
    client.send_raw(SettingsFrame(0, settings={4: 65_535}).serialize() * (FRAMES_MAX + 200))


def empty_data(client: Http2Client) -> None:
    number = client.ask("POST", "/echo", ends=False)
    for _ in range(FRAMES_MAX + 200):
        client.frames.send_data(number, b"")
    client.flush()


def refused_windows(client: Http2Client) -> None:
    """The server resets each itself (CVE-2025-8671)."""
    for number in range(3, 2 * FRAMES_MAX + 400, 2):
        head = HeadersFrame(number, raw_head("/gate"), flags=["END_HEADERS", "END_STREAM"])
        client.send_raw(head.serialize() + b"\0\0\4\x08\0" + number.to_bytes(4, "big") + bytes(4))


def raw_head(path: str) -> bytes:
    """A GET whose block changes no table."""
    return b"\x82\x87\x04" + bytes([len(path)]) + path.encode()


@pytest.mark.parametrize("flood", [rapid_reset, pings, settings, empty_data, refused_windows])
def test_floods_end_the_connection(tmp_path: Path, flood: Callable[[Http2Client], None]) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        assert (await client.get("/fast")).status == 200
        flood(client)
        await client.until(lambda: client.goaway == CALM)
        await client.until(lambda: client.closed)
        assert len(server.tasks) == 0

    with_server(tmp_path, talk)


def continuations(client: Http2Client) -> bytes:
    head = HeadersFrame(1, b"\x00\x01a\x01b").serialize()
    return head + ContinuationFrame(1, b"\x00\x01a\x01b").serialize() * 200


def header_bomb(client: Http2Client) -> bytes:
    """One large header in the table, then named again and again in a byte each."""
    fields = [(":method", "GET"), (":path", "/fast"), (":scheme", "https"), ("a", "b" * 3000)]
    block = client.frames.encoder.encode(fields) + b"\xbe" * 1000
    return HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"]).serialize()


@pytest.mark.parametrize("attack", [continuations, header_bomb])
def test_heads_have_limits(tmp_path: Path, attack: Callable[[Http2Client], bytes]) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        client.send_raw(attack(client))
        await client.until(lambda: client.goaway is not None)
        await client.until(lambda: client.closed)

    with_server(tmp_path, talk)


def test_windows_by_the_thousand_cost_little(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        client.reads = False
        for _ in range(100):
            client.ask("GET", "/much")
        await client.until(lambda: sum(len(r.body) for r in client.replies.values()) == 65_535)
        written, begun = handler.written, time.process_time()
        client.send_raw(WindowUpdateFrame(0, window_increment=1).serialize() * 10_000)
        last = HeadersFrame(301, raw_head("/much"), flags=["END_HEADERS", "END_STREAM"])
        client.send_raw(last.serialize())
        while handler.written == written:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        assert time.process_time() - begun < 1

    with_server(tmp_path, talk, window=20_000)
