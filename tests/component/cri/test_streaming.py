"""The streaming server, spoken to as kubectl and the client libraries do."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from tiphys.cri.errors import CriError
from tiphys.cri.streaming import StreamingServer
from tiphys.cri.streaming_channels import Duplex, Streams
from tiphys.lib.clock import SystemClock
from tiphys.lib.http import spdy, websocket


class Echo:
    """`cat`: stdin to stdout; the exit code is the last word of the command."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    async def exec(
        self, container_id: str, command: list[str], *, tty: bool, streams: Streams
    ) -> int:
        if container_id == "absent":
            raise CriError("NOT_FOUND", "no container absent")
        if command[0] == "size" and (size := await streams.resize.next()):
            self.sizes.append(size)
        if streams.stdout:
            await streams.stdout.write(b"begin;")
        while streams.stdin and streams.stdout and (data := await streams.stdin.read()):
            await streams.stdout.write(data)
        if streams.stderr:
            await streams.stderr.write(b"done")
        return int(command[-1])

    async def attach(self, container_id: str, *, tty: bool, streams: Streams) -> None:
        if streams.stdout:
            await streams.stdout.write(b"attached")

    async def port_forward(self, sandbox_id: str, port: int, stream: Duplex) -> None:
        if port == 1:
            raise CriError("UNKNOWN", "connection refused")
        while data := await stream.read():
            await stream.write(b"%d:%b" % (port, data))


class Wire:
    """A raw client connection after its handshake."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str
    ) -> None:
        self.reader, self.writer, self.head = reader, writer, head


@asynccontextmanager
async def serving(handlers: Echo) -> AsyncIterator[StreamingServer]:
    server = StreamingServer(handlers, SystemClock())
    await server.listen("127.0.0.1")
    try:
        yield server
    finally:
        await server.stop()


async def connect(url: str, method: str, *headers: str) -> Wire:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    lines = [f"{method} {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Connection: Upgrade"]
    writer.write(("\r\n".join([*lines, *headers]) + "\r\n\r\n").encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    return Wire(reader, writer, head)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


async def connect_websocket(url: str, protocol: str) -> Wire:
    key = base64.b64encode(os.urandom(16)).decode()
    return await connect(
        url,
        "GET",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        f"Sec-WebSocket-Protocol: {protocol}",
    )


async def messages(wire: Wire, socket: websocket.WebSocket) -> list[bytes]:
    """Every data message until the server closes."""
    found: list[bytes] = []
    while not socket.close_received and (data := await wire.reader.read(65536)):
        found += [m.data for m in socket.receive(data) if m.opcode in (1, 2)]
    wire.writer.close()
    return found


def by_channel(found: list[bytes]) -> dict[int, bytes]:
    channels: dict[int, bytes] = {}
    for message in found:
        channels[message[0]] = channels.get(message[0], b"") + message[1:]
    return channels


ALL = {"stdin": True, "stdout": True, "stderr": True}


def test_exec_over_websocket_version_5_ends_stdin_and_tells_the_exit_code() -> None:
    async def work() -> None:
        async with serving(Echo()) as server:
            answer = await server.exec({"container_id": "c", "cmd": ["cat", "3"], **ALL})
            wire = await connect_websocket(answer["url"], "v5.channel.k8s.io,v4.channel.k8s.io")
            assert "101 Switching" in wire.head
            assert "Sec-WebSocket-Protocol: v5.channel.k8s.io" in wire.head
            socket = websocket.WebSocket(mask=lambda: os.urandom(4))
            big = b"z" * 200_000
            wire.writer.write(socket.frame(websocket.BINARY, b"\0" + big))
            wire.writer.write(socket.frame(websocket.BINARY, b"\xff\0"))
            channels = by_channel(await messages(wire, socket))
            assert channels[1] == b"begin;" + big
            assert channels[2] == b"done"
            status = json.loads(channels[3])
            assert status["reason"] == "NonZeroExitCode"
            assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]

    run(work())


def test_exec_over_base64_websocket_takes_a_terminal_size() -> None:
    async def work() -> None:
        echo = Echo()
        async with serving(echo) as server:
            request = {"container_id": "c", "cmd": ["size", "0"], "tty": True, "stdout": True}
            wire = await connect_websocket(
                (await server.exec(request))["url"], "v4.base64.channel.k8s.io"
            )
            socket = websocket.WebSocket(mask=lambda: os.urandom(4))
            size = base64.b64encode(b'{"Width":80,"Height":24}')
            wire.writer.write(socket.frame(websocket.TEXT, b"4" + size))
            found = await messages(wire, socket)
            assert [m[:1] + base64.b64decode(m[1:]) for m in found] == [
                b"1",
                b"1begin;",
                b'3{"metadata":{},"status":"Success"}',
            ]
            assert echo.sizes == [(80, 24)]

    run(work())


class SpdyClient:
    """The client's end: opens streams, collects what comes per stream."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.reader, self.writer = spdy.FrameReader(), spdy.FrameWriter()
        self.data: dict[int, bytes] = {}

    def open(self, stream_id: int, **headers: str) -> None:
        self.wire.writer.write(self.writer.syn_stream(stream_id, headers))

    def send(self, stream_id: int, data: bytes, *, fin: bool = False) -> None:
        self.wire.writer.write(self.writer.data(stream_id, data, fin=fin))

    async def until_closed(self) -> dict[int, bytes]:
        while data := await self.wire.reader.read(65536):
            for frame in self.reader.receive(data):
                if isinstance(frame, spdy.Data):
                    before = self.data.get(frame.stream_id, b"")
                    self.data[frame.stream_id] = before + frame.data
        self.wire.writer.close()
        return self.data


async def connect_spdy(url: str, *protocols: str) -> Wire:
    names = [f"X-Stream-Protocol-Version: {p}" for p in protocols]
    return await connect(url, "POST", "Upgrade: SPDY/3.1", "Content-Length: 0", *names)


@pytest.mark.parametrize(
    ("protocol", "status"),
    [
        ("v4.channel.k8s.io", '"reason":"ExitCode","message":"7"'),
        ("v3.channel.k8s.io", "exit code 7"),
        ("channel.k8s.io", "exit code 7"),
    ],
)
def test_exec_over_spdy(protocol: str, status: str) -> None:
    async def work() -> None:
        async with serving(Echo()) as server:
            answer = await server.exec({"container_id": "c", "cmd": ["cat", "7"], **ALL})
            wire = await connect_spdy(answer["url"], "v9.channel.k8s.io", protocol)
            assert f"X-Stream-Protocol-Version: {protocol}" in wire.head
            client = SpdyClient(wire)
            for stream_id, kind in ((1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")):
                client.open(stream_id, streamType=kind)
            client.send(3, b"some" * 50_000)
            client.send(3, b"", fin=True)
            data = await client.until_closed()
            assert data[5] == b"begin;" + b"some" * 50_000
            assert data[7] == b"done"
            assert status in data[1].decode()

    run(work())


def test_a_runtime_error_reaches_the_client_as_internal_error() -> None:
    async def work() -> None:
        async with serving(Echo()) as server:
            answer = await server.exec({"container_id": "absent", "cmd": ["x"], "stdout": True})
            wire = await connect_websocket(answer["url"], "v4.channel.k8s.io")
            channels = by_channel(await messages(wire, websocket.WebSocket(mask=lambda: b"aaaa")))
            status = json.loads(channels[3])
            assert status["message"] == (
                "Internal error occurred: error executing command in container: no container absent"
            )

    run(work())


def test_port_forward_over_spdy_pairs_streams_and_reports_errors() -> None:
    async def work() -> None:
        async with serving(Echo()) as server:
            answer = await server.port_forward({"pod_sandbox_id": "s"})
            wire = await connect_spdy(answer["url"], "portforward.k8s.io")
            client = SpdyClient(wire)
            for request, (port, error, data) in enumerate(((80, 1, 3), (1, 5, 7))):
                client.open(error, streamType="error", port=str(port), requestID=str(request))
                client.send(error, b"", fin=True)
                client.open(data, streamType="data", port=str(port), requestID=str(request))
            client.send(3, b"hi", fin=True)
            while 5 not in client.data or 3 not in client.data:
                for frame in client.reader.receive(await wire.reader.read(65536)):
                    if isinstance(frame, spdy.Data) and frame.data:
                        client.data[frame.stream_id] = frame.data
            assert client.data[3] == b"80:hi"
            assert client.data[5] == b"error forwarding port 1 to pod: connection refused"
            wire.writer.close()

    run(work())


def test_port_forward_through_a_websocket_tunnel() -> None:
    async def work() -> None:
        async with serving(Echo()) as server:
            answer = await server.port_forward({"pod_sandbox_id": "s"})
            wire = await connect_websocket(answer["url"], "SPDY/3.1+portforward.k8s.io")
            socket = websocket.WebSocket(mask=lambda: os.urandom(4))
            frames = spdy.FrameWriter()
            data = frames.syn_stream(1, {"streamType": "error", "port": "80", "requestID": "0"})
            data += frames.syn_stream(3, {"streamType": "data", "port": "80", "requestID": "0"})
            data += frames.data(3, b"hi", fin=True)
            wire.writer.write(socket.frame(websocket.BINARY, data))
            reader, got = spdy.FrameReader(), b""
            while not got:
                for message in socket.receive(await wire.reader.read(65536)):
                    for frame in reader.receive(message.data):
                        got += frame.data if isinstance(frame, spdy.Data) else b""
            assert got == b"80:hi"
            wire.writer.close()

    run(work())


def test_port_forward_over_websocket_channels_begins_with_the_port() -> None:
    async def work() -> None:
        async with serving(Echo()) as server:
            answer = await server.port_forward({"pod_sandbox_id": "s", "port": [80]})
            wire = await connect_websocket(answer["url"], "v4.channel.k8s.io")
            socket = websocket.WebSocket(mask=lambda: os.urandom(4))
            wire.writer.write(socket.frame(websocket.BINARY, b"\0hi"))
            found: list[bytes] = []
            while len(found) < 3:
                found += [m.data for m in socket.receive(await wire.reader.read(65536))]
            assert found == [b"\0\x50\0", b"\1\x50\0", b"\x0080:hi"]
            wire.writer.close()

    run(work())


def test_a_token_counts_once_and_wants_an_upgrade() -> None:
    async def work() -> None:
        async with serving(Echo()) as server:
            url = (await server.attach({"container_id": "c", "stdout": True}))["url"]
            plain = await connect(url, "GET")
            assert "400 Bad Request" in plain.head
            wire = await connect_websocket(url, "v4.channel.k8s.io")
            channels = by_channel(await messages(wire, websocket.WebSocket(mask=lambda: b"aaaa")))
            assert channels == {1: b"attached", 3: b'{"metadata":{},"status":"Success"}'}
            again = await connect_websocket(url, "v4.channel.k8s.io")
            assert "404 Not Found" in again.head
            for each in (plain, again):
                each.writer.close()

    run(work())


@pytest.mark.parametrize(
    "request_",
    [
        {"cmd": ["x"], "stdout": True},
        {"container_id": "c"},
        {"container_id": "c", "tty": True, "stderr": True},
    ],
    ids=["no container", "no stream", "tty and stderr"],
)
def test_impossible_requests_are_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(CriError):
        asyncio.run(StreamingServer(Echo(), SystemClock()).exec(request_))
