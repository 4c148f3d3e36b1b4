"""Exec, attach and port-forward over SPDY/3.1, as kubectl up to 1.30 and every kubelet speak it.

The client opens the streams; the header streamType says what each is for.
Upstream: apimachinery util/httpstream/spdy, kubelet pkg/cri/streaming remotecommand, portforward.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from tiphys.cri.errors import CriError
from tiphys.cri.streaming_channels import (
    DATA,
    ERROR,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    Pipe,
    Raw,
    ResizeChannel,
    Streams,
)
from tiphys.lib.http import spdy
from tiphys.lib.tasks import TaskSet

log = logging.getLogger(__name__)

# Newest first. Upstream: apimachinery util/remotecommand.
REMOTE_COMMAND_PROTOCOLS: Final = (
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
)
PORT_FORWARD_PROTOCOL: Final = "portforward.k8s.io"
STREAM_CREATION_SECONDS: Final = 30.0  # kubelet remotecommand DefaultStreamCreationTimeout
STREAMS_MAX: Final = 1000  # Open streams of one connection.


class SpdyStream:
    """One stream of a session: a Duplex with headers."""

    def __init__(self, session: "SpdySession", stream_id: int, headers: dict[str, str]) -> None:
        self._session = session
        self.stream_id = stream_id
        self.headers = headers
        self.incoming = Pipe()
        self.write_closed = False

    async def read(self) -> bytes:
        return await self.incoming.read()

    async def write(self, data: bytes) -> None:
        if self.write_closed:
            raise ConnectionResetError("the stream is closed")
        await self._session.send_data(self.stream_id, data)

    async def close_write(self) -> None:
        if not self.write_closed:
            self.write_closed = True
            await self._session.send_data(self.stream_id, b"", fin=True)

    async def close(self) -> None:
        """Both directions."""
        self.incoming.end()
        await self.close_write()
        self._session.streams.pop(self.stream_id, None)


class SpdySession:
    """The server's end: `on_stream` is called for every stream that the client opens."""

    def __init__(self, raw: Raw, on_stream: Callable[[SpdyStream], None]) -> None:
        self._raw = raw
        self._on_stream = on_stream
        self._reader = spdy.FrameReader()
        self._writer = spdy.FrameWriter()
        self.streams: dict[int, SpdyStream] = {}
        self.closed = asyncio.Event()
        self._last_stream_id = 0

    async def run(self) -> None:
        """Read until the client leaves or breaks the protocol."""
        try:
            while data := await self._raw.read():
                for frame in self._reader.receive(data):
                    await self._handle(frame)
        except spdy.SpdyError as exc:
            log.info("SPDY connection ended", extra={"why": str(exc)})
            self._raw.write(self._writer.goaway(self._last_stream_id, spdy.PROTOCOL_ERROR))
        except ConnectionError:
            pass  # The client left while we answered it.
        finally:
            self.closed.set()
            for stream in self.streams.values():
                stream.incoming.end()

    async def send_data(self, stream_id: int, data: bytes, *, fin: bool = False) -> None:
        if data or fin:
            self._raw.write(self._writer.data(stream_id, data, fin=fin))
        await self._raw.drain()

    async def close(self) -> None:
        """End every stream in order, then the connection."""
        try:
            for stream in list(self.streams.values()):
                await stream.close()
            self._raw.write(self._writer.goaway(self._last_stream_id))
            await self._raw.drain()
        except ConnectionError:
            pass
        self._raw.close()

    async def _handle(self, frame: spdy.Frame) -> None:
        if isinstance(frame, spdy.Data):
            stream = self.streams.get(frame.stream_id)
            if stream is not None:
                await stream.incoming.put(frame.data)
                if frame.fin:
                    stream.incoming.end()
        elif isinstance(frame, spdy.SynStream):
            self._open(frame)
        elif isinstance(frame, spdy.RstStream):
            stream = self.streams.pop(frame.stream_id, None)
            if stream is not None:
                stream.write_closed = True
                stream.incoming.end()
        elif isinstance(frame, spdy.Ping) and frame.ping_id % 2:
            self._raw.write(self._writer.ping(frame.ping_id))

    def _open(self, frame: spdy.SynStream) -> None:
        if len(self.streams) >= STREAMS_MAX or frame.stream_id in self.streams:
            self._raw.write(self._writer.rst_stream(frame.stream_id, spdy.REFUSED_STREAM))
            return
        self._last_stream_id = frame.stream_id
        stream = SpdyStream(self, frame.stream_id, frame.headers)
        self.streams[frame.stream_id] = stream
        self._raw.write(self._writer.syn_reply(frame.stream_id))
        if frame.fin:
            stream.incoming.end()
        self._on_stream(stream)


RemoteCommand = Callable[[Streams], Awaitable[bytes]]
"""Does the work with the streams; returns what goes into the error channel."""


async def serve_remote_command(
    raw: Raw, wanted: frozenset[str], work: RemoteCommand, *, tty: bool, version: int
) -> None:
    """One exec or attach. `wanted` are the streams that the CRI request asked for."""
    expected = set(wanted) | {ERROR} | ({RESIZE} if tty and version >= 3 else set())
    found: dict[str, SpdyStream] = {}
    complete = asyncio.Event()

    def opened(stream: SpdyStream) -> None:
        kind = stream.headers.get("streamtype", "")
        if kind in expected and kind not in found:
            found[kind] = stream
        if found.keys() >= expected:
            complete.set()

    session = SpdySession(raw, opened)
    tasks = TaskSet()
    tasks.start(session.run(), "spdy session")
    try:
        async with asyncio.timeout(STREAM_CREATION_SECONDS):
            await complete.wait()
        streams = Streams(
            found.get(STDIN), found.get(STDOUT), found.get(STDERR), ResizeChannel(), session.closed
        )
        if RESIZE in found:
            tasks.start(_feed_resize(found[RESIZE], streams.resize), "terminal sizes")
        status = await work(streams)
        await found[ERROR].write(status)
    except TimeoutError:
        log.info("streams were not opened in time", extra={"expected": sorted(expected)})
    except ConnectionError:
        log.debug("client left", extra={"streams": sorted(found)})
    finally:
        await session.close()
        await tasks.close()


async def _feed_resize(stream: SpdyStream, resize: ResizeChannel) -> None:
    while data := await stream.read():
        resize.feed(data)
    resize.end()


PortForward = Callable[[int, SpdyStream], Awaitable[None]]


async def serve_port_forward(raw: Raw, forward: PortForward) -> None:
    """Any number of forwarded connections: each a pair of an error and a data stream."""
    tasks = TaskSet()
    pairs: dict[str, dict[str, SpdyStream]] = {}

    def opened(stream: SpdyStream) -> None:
        # Clients before 1.1 sent no requestID; each of their pairs has consecutive ids.
        request_id = stream.headers.get("requestid") or str((stream.stream_id - 1) // 4)
        pair = pairs.setdefault(request_id, {})
        pair[stream.headers.get("streamtype", "")] = stream
        if ERROR in pair and DATA in pair:
            del pairs[request_id]
            tasks.start(_forward_pair(pair[ERROR], pair[DATA], forward), "port forward")

    session = SpdySession(raw, opened)
    try:
        await session.run()
    finally:
        await tasks.close()
        await session.close()


async def _forward_pair(error: SpdyStream, data: SpdyStream, forward: PortForward) -> None:
    try:
        try:
            port = int(data.headers.get("port", ""))
            await forward(port, data)
        except (CriError, ValueError) as exc:
            message = exc.message if isinstance(exc, CriError) else str(exc)
            shown = data.headers.get("port", "")
            await error.write(f"error forwarding port {shown} to pod: {message}".encode())
        await data.close()
        await error.close()
    except ConnectionError:
        log.debug("client left", extra={"stream": data.stream_id})
