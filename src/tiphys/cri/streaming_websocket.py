"""Exec, attach and port-forward over WebSocket, as kubectl from 1.31 and the client libraries do.

Every message begins with the number of its channel: one byte, or one digit before base64.
Upstream: apimachinery util/remotecommand, apiserver util/wsstream, KEP-4006.
"""

import asyncio
import base64
import logging
import struct
from collections.abc import Awaitable, Callable
from typing import Final

from tiphys.cri.errors import CriError
from tiphys.cri.streaming_channels import (
    ERROR,
    STDERR,
    STDIN,
    STDOUT,
    Pipe,
    Raw,
    ResizeChannel,
    Streams,
)
from tiphys.lib.http import websocket
from tiphys.lib.http.websocket import WebSocket, WebSocketError
from tiphys.lib.tasks import TaskSet

log = logging.getLogger(__name__)

# Upstream: kubelet pkg/cri/streaming remotecommand/websocket.go; "" is the oldest, unnamed.
REMOTE_COMMAND_PROTOCOLS: Final = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
PORT_FORWARD_PROTOCOLS: Final = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")
TUNNEL_PROTOCOL: Final = "SPDY/3.1+portforward.k8s.io"  # KEP-4006: SPDY inside WebSocket.
CHANNEL_STDIN, CHANNEL_STDOUT, CHANNEL_STDERR, CHANNEL_ERROR, CHANNEL_RESIZE = 0, 1, 2, 3, 4
CHANNEL_CLOSE: Final = 255  # Version 5: the channel in the next byte ends.
PIECE_BYTES_MAX: Final = 32 * 1024
PORTS_MAX: Final = (
    60  # Two channels each, and a base64 channel is one digit: upstream has no bound.
)


class Channels:
    """A WebSocket with numbered channels."""

    def __init__(self, raw: Raw, protocol: str) -> None:
        self._raw = raw
        self._socket = WebSocket()
        self._base64 = "base64" in protocol
        self._can_close = protocol.startswith("v5.")
        self.inputs: dict[int, Pipe] = {}
        self.resize = ResizeChannel()
        self.gone = asyncio.Event()

    async def run(self) -> None:
        """Hand out what comes until the client leaves."""
        try:
            while not self._socket.close_received and (data := await self._raw.read()):
                for message in self._socket.receive(data):
                    await self._handle(message)
                if answer := self._socket.outgoing():
                    self._raw.write(answer)
                    await self._raw.drain()
        except WebSocketError as exc:
            log.info("WebSocket ended", extra={"why": str(exc)})
            self._raw.write(self._socket.close(exc.code))
        except ConnectionError:
            pass  # The client left while we answered it.
        finally:
            self.gone.set()
            self.resize.end()
            for pipe in self.inputs.values():
                pipe.end()

    async def _handle(self, message: websocket.Message) -> None:
        if message.opcode not in (websocket.TEXT, websocket.BINARY) or not message.data:
            return
        channel, data = message.data[0], message.data[1:]
        if self._base64:
            channel -= ord("0")
            try:
                data = base64.b64decode(data, validate=True)
            except ValueError as exc:
                raise WebSocketError(websocket.CLOSE_PROTOCOL_ERROR, "not base64") from exc
        elif channel == CHANNEL_CLOSE and self._can_close:
            if data and data[0] in self.inputs:
                self.inputs[data[0]].end()
            return
        if channel in self.inputs:
            await self.inputs[channel].put(data)
        elif channel == CHANNEL_RESIZE:
            self.resize.feed(data)

    async def write(self, channel: int, data: bytes) -> None:
        """Raises ConnectionResetError once the client is gone."""
        if self._socket.close_sent:
            raise ConnectionResetError("the WebSocket is closed")
        for start in range(0, len(data) or 1, PIECE_BYTES_MAX):
            piece = data[start : start + PIECE_BYTES_MAX]
            if self._base64:
                text = b"%d%b" % (channel, base64.b64encode(piece))
                self._raw.write(self._socket.frame(websocket.TEXT, text))
            else:
                message = bytes((channel,)) + piece
                self._raw.write(self._socket.frame(websocket.BINARY, message))
            await self._raw.drain()

    async def close(self) -> None:
        try:
            self._raw.write(self._socket.close())
            await self._raw.drain()
        except ConnectionError:
            pass
        self._raw.close()


class ChannelWriter:
    """One channel as a ByteWriter."""

    def __init__(self, channels: Channels, channel: int) -> None:
        self._channels = channels
        self._channel = channel

    async def write(self, data: bytes) -> None:
        if data:
            await self._channels.write(self._channel, data)


RemoteCommand = Callable[[Streams], Awaitable[bytes]]


async def serve_remote_command(
    raw: Raw, wanted: frozenset[str], work: RemoteCommand, *, protocol: str
) -> None:
    """One exec or attach; `work` returns what goes into the error channel."""
    channels = Channels(raw, protocol)
    stdin = channels.inputs[CHANNEL_STDIN] = Pipe()
    streams = Streams(
        stdin if STDIN in wanted else None,
        ChannelWriter(channels, CHANNEL_STDOUT) if STDOUT in wanted else None,
        ChannelWriter(channels, CHANNEL_STDERR) if STDERR in wanted else None,
        channels.resize,
        channels.gone,
    )
    tasks = TaskSet()
    tasks.start(channels.run(), "websocket channels")
    try:
        # An empty message on the lowest channel tells the client that the streams are open.
        first = CHANNEL_STDOUT if STDOUT in wanted else CHANNEL_STDERR
        await channels.write(first if wanted & {STDOUT, STDERR} else CHANNEL_ERROR, b"")
        status = await work(streams)
        if status:
            await channels.write(CHANNEL_ERROR, status)
    except ConnectionError:
        log.debug("client left", extra={"channel": ERROR})
    finally:
        await channels.close()
        await tasks.close()


class ChannelDuplex:
    """A data channel of port-forward as a Duplex. The protocol knows no half-close."""

    def __init__(self, channels: Channels, channel: int) -> None:
        self._channels = channels
        self._channel = channel
        self._input = channels.inputs[channel] = Pipe()

    async def read(self) -> bytes:
        return await self._input.read()

    async def write(self, data: bytes) -> None:
        await self._channels.write(self._channel, data)

    async def close_write(self) -> None:
        """Nothing to send: the whole WebSocket closes when every port has ended."""


PortForward = Callable[[int, ChannelDuplex], Awaitable[None]]


async def serve_port_forward(
    raw: Raw, ports: list[int], forward: PortForward, *, protocol: str
) -> None:
    """The ports of the request: channel 2i is port i's data, 2i+1 its errors.

    Each begins with a message that holds the port, two bytes, little-endian.
    """
    channels = Channels(raw, protocol)
    streams = [(port, ChannelDuplex(channels, 2 * i)) for i, port in enumerate(ports[:PORTS_MAX])]
    tasks = TaskSet()
    reading = tasks.start(channels.run(), "websocket channels")
    try:
        for index, (port, _) in enumerate(streams):
            for channel in (2 * index, 2 * index + 1):
                await channels.write(channel, struct.pack("<H", port))
        work = [
            tasks.start(_forward(channels, 2 * i + 1, port, stream, forward), "port forward")
            for i, (port, stream) in enumerate(streams)
        ]
        ended = asyncio.gather(*work)
        await asyncio.wait([reading, ended], return_when=asyncio.FIRST_COMPLETED)
    except ConnectionError:
        log.debug("client left", extra={"ports": ports})
    finally:
        await channels.close()
        await tasks.close()


async def _forward(
    channels: Channels, error: int, port: int, stream: ChannelDuplex, forward: PortForward
) -> None:
    try:
        try:
            await forward(port, stream)
        except CriError as exc:
            text = f"error forwarding port {port} to pod: {exc.message}"
            await channels.write(error, text.encode())
    except ConnectionError:
        log.debug("client left", extra={"port": port})


class Tunnel:
    """The bytes inside a WebSocket's binary messages, as a Raw."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._socket = WebSocket()

    async def read(self) -> bytes:
        while not self._socket.close_received and (data := await self._raw.read()):
            try:
                messages = self._socket.receive(data)
            except WebSocketError as exc:
                self._raw.write(self._socket.close(exc.code))
                return b""
            if answer := self._socket.outgoing():
                self._raw.write(answer)
            if found := b"".join(m.data for m in messages if m.opcode == websocket.BINARY):
                return found
        return b""

    def write(self, data: bytes) -> None:
        if not self._socket.close_sent:
            self._raw.write(self._socket.frame(websocket.BINARY, data))

    async def drain(self) -> None:
        await self._raw.drain()

    def close(self) -> None:
        self._raw.write(self._socket.close())
        self._raw.close()
