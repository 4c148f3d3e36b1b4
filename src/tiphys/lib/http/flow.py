"""The two ends that handlers write to: `BodyWriter` (a streamed body), `RawStream` (an upgrade).

Both are bound to one connection and bounded: reading pauses when the reader is slow, and a writer
asks `writable` or awaits `drain`.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

RAW_READ_BUFFER_BYTES_MAX: Final = 256 * 1024  # Reading pauses above this; the peer then waits.


class FlowControl:
    """Whether the transport takes more bytes now, and who waits for it to."""

    __slots__ = ("_waiting", "closed", "on_writable", "writable")

    def __init__(self) -> None:
        self.writable = True
        self.closed = False
        self.on_writable: Callable[[], None] | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def pause(self) -> None:
        self.writable = False

    def resume(self) -> None:
        self.writable = True
        self._wake()
        if self.on_writable is not None:
            self.on_writable()

    def close(self) -> None:
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)

    async def drain(self) -> None:
        """Return when the transport takes bytes. Raises ConnectionResetError once it is closed."""
        while not self.writable and not self.closed:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        if self.closed:
            raise ConnectionResetError("the connection is closed")


class BodyWriter:
    """Writes a streamed body. `write` never blocks: ask `writable`, or await `drain` after it."""

    __slots__ = ("_chunked", "_flow", "_transport", "stopping")

    def __init__(
        self, transport: Any, flow: FlowControl, *, chunked: bool, stopping: asyncio.Event
    ) -> None:
        self._transport = transport
        self._flow = flow
        self._chunked = chunked
        self.stopping = stopping
        """Set when the server stops: end the stream soon, politely."""

    @property
    def writable(self) -> bool:
        return self._flow.writable

    @property
    def closed(self) -> bool:
        return self._flow.closed

    def on_writable(self, callback: Callable[[], None] | None) -> None:
        """Called whenever a full transport takes bytes again."""
        self._flow.on_writable = callback

    def write(self, data: bytes) -> None:
        if not data or self._flow.closed:
            return
        if self._chunked:
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._transport.write(data)

    async def drain(self) -> None:
        await self._flow.drain()

    async def pause(self) -> None:
        """Give others their turn, and wait while the transport is full."""
        await (asyncio.sleep(0) if self._flow.writable else self._flow.drain())

    def abort(self) -> None:
        """Drop a client that does not read."""
        self._transport.abort()

    def end(self) -> None:
        """The last chunk; the server calls this when write_body returns."""
        if self._chunked and not self._flow.closed:
            self._transport.write(b"0\r\n\r\n")


class RawStream:
    """The bytes of an upgraded connection, both ways."""

    def __init__(self, transport: Any, flow: FlowControl, stopping: asyncio.Event) -> None:
        self._transport = transport
        self._flow = flow
        self._stopping = stopping
        self._received: list[bytes] = []
        self._received_bytes = 0
        self._paused = False
        self._ended = False
        self._turn: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        """The next bytes, whatever their number; empty at the end of the stream."""
        while not self._received and not self._ended:
            self._turn = asyncio.get_running_loop().create_future()
            await self._turn
        data = b"".join(self._received)
        self._received.clear()
        self._received_bytes = 0
        if self._paused and not self._ended:
            self._paused = False
            self._transport.resume_reading()
        return data

    def write(self, data: bytes) -> None:
        if not self._flow.closed:
            self._transport.write(data)

    def body_writer(self) -> BodyWriter:
        """The same connection for what writes streamed bodies; it frames what it writes itself."""
        return BodyWriter(self._transport, self._flow, chunked=False, stopping=self._stopping)

    async def drain(self) -> None:
        """Raises ConnectionResetError once the peer is gone."""
        await self._flow.drain()

    def close(self) -> None:
        """Send what is written and close; reading ends."""
        self.feed_eof()
        self._transport.close()

    def feed(self, data: bytes) -> None:
        """The connection's side: bytes came in."""
        if data and not self._ended:
            self._received.append(data)
            self._received_bytes += len(data)
            if self._received_bytes > RAW_READ_BUFFER_BYTES_MAX and not self._paused:
                self._paused = True
                self._transport.pause_reading()
            self._wake()

    def feed_eof(self) -> None:
        """The connection's side: no more will come."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)
