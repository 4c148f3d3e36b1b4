"""ExecSync, and what is behind the streaming URLs of Exec, Attach and PortForward.

Upstream: cri-api RuntimeService; containerd pkg/cri/server container_execsync.go (16 MiB bound).
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Any, Final

from tiphys.cri.errors import CriError, invalid
from tiphys.cri.streaming_channels import Duplex, Streams
from tiphys.lib.tasks import TaskSet
from tiphys.runtime import syscalls
from tiphys.runtime.containers import Containers
from tiphys.runtime.node import Node
from tiphys.runtime.records import READY, RUNNING, Container
from tiphys.runtime.shim import frames
from tiphys.runtime.shim_client import ShimError, ShimStream

OUTPUT_BYTES_MAX: Final = 16 << 20
READ_BYTES: Final = 1 << 16
DIAL_SECONDS: Final = 5.0
Call = Mapping[str, Any]
Answer = dict[str, Any]


class RuntimeStreams:
    """Implements StreamHandlers of tiphys.cri."""

    def __init__(self, node: Node, containers: Containers) -> None:
        self._node = node
        self._containers = containers

    async def exec_sync(self, request: Call) -> Answer:
        container = self._running(request.get("container_id", ""))
        command = list(request.get("cmd") or ())
        if not command:
            raise invalid("cmd is empty")
        seconds = float(request.get("timeout", 0)) or None
        stream = await self._open(container, command, tty=False, stdin=False)
        output = {frames.STDOUT: bytearray(), frames.STDERR: bytearray()}
        try:
            async with asyncio.timeout(seconds):
                async for channel, data in stream.output():
                    room = OUTPUT_BYTES_MAX - len(output[channel])
                    output[channel] += data[:room]
        except TimeoutError as exc:
            shown = f"command {command!r} timed out: timeout {seconds:g}s exceeded"
            raise CriError("DEADLINE_EXCEEDED", f"failed to exec in container: {shown}") from exc
        finally:
            stream.close()
        return {
            "stdout": bytes(output[frames.STDOUT]),
            "stderr": bytes(output[frames.STDERR]),
            "exit_code": self._code(stream),
        }

    def _running(self, identity: str) -> Container:
        container = self._node.container(identity)
        if container.state != RUNNING:
            raise CriError("UNKNOWN", f"container {container.id} is in {container.state} state")
        return container

    async def _open(
        self, container: Container, command: list[str], *, tty: bool, stdin: bool
    ) -> ShimStream:
        try:
            process = self._containers.exec_process(container, command, tty=tty)
            shim = self._node.shim(container.sandbox_id)
            return await shim.stream("exec", container=container.id, process=process, stdin=stdin)
        except (ShimError, ValueError) as exc:
            raise CriError("UNKNOWN", f"failed to exec in container: {exc}") from exc

    def _code(self, stream: ShimStream) -> int:
        if stream.exit_code is None:
            raise CriError("UNAVAILABLE", "failed to exec in container: the shim is gone")
        return stream.exit_code

    async def exec(
        self, container_id: str, command: list[str], *, tty: bool, streams: Streams
    ) -> int:
        container = self._running(container_id)
        stdin = streams.stdin is not None
        stream = await self._open(container, command, tty=tty, stdin=stdin)
        await _join(stream, streams)
        return self._code(stream)

    async def attach(self, container_id: str, *, tty: bool, streams: Streams) -> None:
        container = self._running(container_id)
        try:
            shim = self._node.shim(container.sandbox_id)
            stdin = streams.stdin is not None
            stream = await shim.stream("attach", container=container.id, stdin=stdin)
        except ShimError as exc:
            raise CriError("UNKNOWN", f"failed to attach to container: {exc}") from exc
        await _join(stream, streams)

    async def port_forward(self, sandbox_id: str, port: int, stream: Duplex) -> None:
        sandbox = self._node.sandbox(sandbox_id)
        if sandbox.state != READY:
            raise CriError("UNKNOWN", f"sandbox container {sandbox.id} is not running")
        try:
            reader, writer = await dial(sandbox.netns_path, port)
        except (OSError, TimeoutError) as exc:
            where = f"port {port} inside namespace {sandbox.id[:12]!r}"
            raise CriError(
                "UNKNOWN", f"failed to connect to localhost:{port}: {where}: {exc}"
            ) from exc
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_send(stream, writer))
                group.create_task(_receive(reader, stream))
        except* ConnectionError:
            pass  # One side broke off: so does the other.
        finally:
            writer.close()


async def dial(netns_path: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a port on the loopback of a network namespace, IPv4 then IPv6.

    Raises: OSError, TimeoutError.
    """
    error: OSError | None = None
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        sock = socket_in(netns_path, family)
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                await asyncio.get_running_loop().sock_connect(sock, (address, port))
            return await asyncio.open_connection(sock=sock)
        except OSError as exc:
            sock.close()
            error = error or exc
    assert error is not None
    raise error


def socket_in(netns_path: str, family: int) -> socket.socket:
    """A TCP socket that belongs to another network namespace. Raises: OSError.

    A socket stays in the namespace in which it was made; nothing else runs in between.
    """
    there = os.open(netns_path, os.O_RDONLY | os.O_CLOEXEC)
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(there, syscalls.CLONE_NEWNET)
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        finally:
            syscalls.setns(here, syscalls.CLONE_NEWNET)
    finally:
        os.close(there)
        os.close(here)
    sock.setblocking(False)
    return sock


async def _send(stream: Duplex, writer: asyncio.StreamWriter) -> None:
    while data := await stream.read():
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        with contextlib.suppress(OSError):
            writer.write_eof()


async def _receive(reader: asyncio.StreamReader, stream: Duplex) -> None:
    while data := await reader.read(READ_BYTES):
        await stream.write(data)
    await stream.close_write()


async def _join(stream: ShimStream, streams: Streams) -> None:
    """Pass bytes until the process has ended or the client has left."""
    tasks = TaskSet()
    if streams.stdin is not None:
        tasks.start(_feed(stream, streams), "stdin")
    tasks.start(_resize(stream, streams), "resize")
    output = tasks.start(_output(stream, streams), "output")
    gone = tasks.start(streams.gone.wait(), "gone")
    try:
        await asyncio.wait({output, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await tasks.close()
        stream.close()


async def _feed(stream: ShimStream, streams: Streams) -> None:
    assert streams.stdin is not None
    while data := await streams.stdin.read():
        await stream.write(data)
    await stream.write(b"")


async def _resize(stream: ShimStream, streams: Streams) -> None:
    while (size := await streams.resize.next()) is not None:
        await stream.resize(size.width, size.height)


async def _output(stream: ShimStream, streams: Streams) -> None:
    writers = {frames.STDOUT: streams.stdout, frames.STDERR: streams.stderr}
    async for channel, data in stream.output():
        writer = writers.get(channel)
        if writer is not None:
            with contextlib.suppress(ConnectionError):
                await writer.write(data)
