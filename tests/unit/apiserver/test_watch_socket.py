"""A watch over a WebSocket to a client that does not read."""

import asyncio

from tiphys.apiserver.watch_socket import socket_answer
from tiphys.lib.http.flow import RAW_READ_BUFFER_BYTES_MAX, BodyWriter, FlowControl, RawStream
from tiphys.lib.http.message import Request, UpgradeResponse
from tiphys.lib.http.websocket import PING, WebSocket

HANDSHAKE = {"sec-websocket-key": "a", "sec-websocket-version": "13", "origin": "https://a"}
PINGS = WebSocket(mask=lambda: b"\x01\x02\x03\x04").frame(PING, b"x" * 100) * 1000


class Transport:
    """What the loop would give."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_reading = True

    def write(self, data: bytes) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def close(self) -> None:
        """Nothing is left to send."""


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_who_does_not_read_pongs_is_not_read_from() -> None:
    async def story() -> None:
        transport, flow, over = Transport(), FlowControl(), asyncio.Event()

        async def write(body: BodyWriter) -> None:
            body.on_writable(over.set)
            await asyncio.Event().wait()

        answer = socket_answer(Request("GET", "/", HANDSHAKE, b""), write)
        assert isinstance(answer, UpgradeResponse)
        stream = RawStream(transport, flow, asyncio.Event())
        running = asyncio.ensure_future(answer.run(stream))
        await turns()
        flow.pause()
        stream.feed(PINGS)
        await turns()
        pongs = len(transport.written)
        assert pongs > 0
        for _ in range(1 + RAW_READ_BUFFER_BYTES_MAX // len(PINGS)):
            stream.feed(PINGS)
            await turns()
        assert (len(transport.written), transport.is_reading) == (pongs, False)
        flow.resume()
        await turns()
        assert len(transport.written) > pongs
        assert transport.is_reading
        assert over.is_set()
        stream.feed_eof()
        await asyncio.wait_for(running, 10)
        assert flow.on_writable is None

    asyncio.run(story())


def test_who_says_that_it_closes_ends_the_watch() -> None:
    async def story() -> None:
        async def write(body: BodyWriter) -> None:
            await asyncio.Event().wait()

        answer = socket_answer(Request("GET", "/", HANDSHAKE, b""), write)
        assert isinstance(answer, UpgradeResponse)
        transport = Transport()
        stream = RawStream(transport, FlowControl(), asyncio.Event())
        running = asyncio.ensure_future(answer.run(stream))
        stream.feed(WebSocket(mask=lambda: b"\x01\x02\x03\x04").close())
        await asyncio.wait_for(running, 10)
        assert transport.written[:1] == b"\x88"

    asyncio.run(story())
