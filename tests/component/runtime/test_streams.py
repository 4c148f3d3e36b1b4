"""Exec, attach and port-forward over the streaming URLs, as kubectl's WebSocket client does."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from component.runtime.conftest import LiveNode
from component.runtime.rig import Rig, processes_titled
from tiphys.cri.errors import CriError

pytestmark = pytest.mark.root

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = b"\0", b"\1", b"\2", b"\3", b"\4", b"\xff"


async def opened(rig: Rig, method: str, **request: Any) -> ClientConnection:
    answer = await rig.client.call(method, request)
    url = answer["url"].replace("http://", "ws://")
    name = "v5.channel.k8s.io" if method != "PortForward" else "v4.channel.k8s.io"
    return await connect(url, subprotocols=[Subprotocol(name)])


async def everything(socket: ClientConnection) -> dict[bytes, bytes]:
    """What comes on each channel until the server closes."""
    found = {STDOUT: bytearray(), STDERR: bytearray(), ERROR: bytearray()}
    async for message in socket:
        assert isinstance(message, bytes)
        found[message[:1]] += message[1:]
    return {channel: bytes(data) for channel, data in found.items()}


def test_exec_carries_input_output_and_exit_code(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        container = await rig.run(await rig.sandbox("exec"), "sleep 100")
        command = ["sh", "-c", "cat; echo err >&2; exit 3"]
        socket = await opened(
            rig, "Exec", container_id=container, cmd=command, stdin=True, stdout=True, stderr=True
        )
        data = b"x" * 300_000
        for start in range(0, len(data), 50_000):
            await socket.send(STDIN + data[start : start + 50_000])
        await socket.send(CLOSE + STDIN)
        found = await everything(socket)
        assert found[STDOUT] == data
        assert found[STDERR] == b"err\n"
        status = json.loads(found[ERROR])
        assert status["reason"] == "NonZeroExitCode"
        assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]

    node.run(asyncio.wait_for(body(), 20))


def test_a_lot_of_output_arrives_whole(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        container = await rig.run(await rig.sandbox("much"), "sleep 100")
        command = ["head", "-c", "20000000", "/dev/zero"]
        socket = await opened(rig, "Exec", container_id=container, cmd=command, stdout=True)
        found = await everything(socket)
        assert len(found[STDOUT]) == 20_000_000
        assert json.loads(found[ERROR])["status"] == "Success"
        answer = await rig.exec(container, "head -c 17000000 /dev/zero")
        assert len(answer["stdout"]) == 16 << 20

    node.run(asyncio.wait_for(body(), 30))


# The size is sent on its own way: the command waits for it.
SIZED = 'while [ "$(stty size 2>/dev/null)" != "45 123" ]; do usleep 10000; done'


def test_a_terminal_has_a_size_and_echoes(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        container = await rig.run(await rig.sandbox("tty"), "sleep 100")
        command = ["sh", "-c", f"{SIZED}; tty; read x; stty size; echo got $x"]
        socket = await opened(
            rig, "Exec", container_id=container, cmd=command, stdin=True, stdout=True, tty=True
        )
        await socket.send(RESIZE + json.dumps({"Width": 123, "Height": 45}).encode())
        said = b""
        while not said.endswith(b"\r\n"):  # Until it reads: the terminal echoes at once.
            message = await socket.recv(decode=False)
            said += message.removeprefix(STDOUT)
        await socket.send(STDIN + b"word\n")
        found = await everything(socket)
        lines = (said + found[STDOUT]).decode().split("\r\n")
        assert lines == ["/dev/pts/0", "word", "45 123", "got word", ""]

    node.run(asyncio.wait_for(body(), 20))


def test_leaving_ends_what_was_executed(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        container = await rig.run(await rig.sandbox("leave"), "sleep 100")
        socket = await opened(
            rig, "Exec", container_id=container, cmd=["sleep", "4321"], stdin=True, stdout=True
        )
        await rig.until(lambda: processes(rig, container, "4321"), "the process runs")
        await socket.close()
        await rig.until(lambda: nothing(rig, container, "4321"), "the process ends")

    node.run(asyncio.wait_for(body(), 20))


async def processes(rig: Rig, container: str, word: str) -> bool:
    return word.encode() in (await rig.exec(container, "ps"))["stdout"]


async def nothing(rig: Rig, container: str, word: str) -> bool:
    return not await processes(rig, container, word)


def test_exec_sync_times_out(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        container = await rig.run(await rig.sandbox("slow"), "sleep 100")
        with pytest.raises(CriError, match="timed out") as late:
            await rig.exec(container, "sleep 5432", timeout=1)
        assert late.value.code == "DEADLINE_EXCEEDED"
        await rig.until(lambda: nothing(rig, container, "5432"), "the process ends")
        with pytest.raises(CriError, match="executable file not found"):
            await rig.client.call("ExecSync", {"container_id": container, "cmd": ["nope"]})

    node.run(asyncio.wait_for(body(), 20))


def test_attach_joins_the_main_process(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        script = 'while read line; do echo "got $line"; done; echo end >&2; exit 2'
        container = await rig.run(await rig.sandbox("attach"), script, stdin=True, stdin_once=True)
        socket = await opened(
            rig, "Attach", container_id=container, stdin=True, stdout=True, stderr=True
        )
        await socket.send(STDIN + b"one\n")
        await socket.send(CLOSE + STDIN)
        found = await everything(socket)
        assert found[STDOUT] == b"got one\n"
        assert found[STDERR] == b"end\n"
        assert (await rig.finished(container))["exit_code"] == 2

    node.run(asyncio.wait_for(body(), 20))


def test_input_that_is_open_once_ends_with_its_session(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        container = await rig.run(
            await rig.sandbox("once"), "cat >/dev/null; exit 6", stdin=True, stdin_once=True
        )
        reader = await opened(rig, "Attach", container_id=container, stdout=True)
        await reader.close()
        assert (await rig.status(container))["state"] == "CONTAINER_RUNNING"
        writer = await opened(rig, "Attach", container_id=container, stdin=True, stdout=True)
        await writer.close()
        assert (await rig.finished(container))["exit_code"] == 6

    node.run(asyncio.wait_for(body(), 20))


def test_a_container_may_have_a_terminal(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        script = "test -c /dev/console && tty; echo $TERM; read x; echo got $x"
        container = await rig.run(await rig.sandbox("console"), script, stdin=True, tty=True)
        socket = await opened(
            rig, "Attach", container_id=container, stdin=True, stdout=True, tty=True
        )
        await socket.send(STDIN + b"it\n")
        found = await everything(socket)
        # What was said before we came is in the log only; the echo may be anywhere before.
        assert found[STDOUT].endswith(b"got it\r\n")
        status = await rig.finished(container)
        assert status.get("exit_code", 0) == 0

    node.run(asyncio.wait_for(body(), 20))


def test_ports_are_forwarded_into_the_pod(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        sandbox = await rig.sandbox("ports")
        container = await rig.run(sandbox, "nc -l -p 7777 -e cat")

        async def listens() -> bool:  # Not by connecting: that would use up its only connection.
            table = await rig.exec(container, "cat /proc/net/tcp /proc/net/tcp6")
            return b":1E61 " in table["stdout"]

        await rig.until(listens, "nc listens on port 7777")
        socket = await opened(rig, "PortForward", pod_sandbox_id=sandbox, port=[7777])
        assert await socket.recv() == b"\0" + (7777).to_bytes(2, "little")
        assert await socket.recv() == b"\1" + (7777).to_bytes(2, "little")
        await socket.send(b"\0hello")
        assert await socket.recv() == b"\0hello"
        await socket.close()

    node.run(asyncio.wait_for(body(), 20))


def test_a_port_nobody_listens_on_is_an_error(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        sandbox = await rig.sandbox("noport")
        socket = await opened(rig, "PortForward", pod_sandbox_id=sandbox, port=[7778])
        text = b""
        async for message in socket:
            assert isinstance(message, bytes)
            text += message[1:] if message[0] == 1 else b""
        assert b"failed to connect to localhost:7778" in text

    node.run(asyncio.wait_for(body(), 20))


def test_many_execs_leave_the_shim_as_it_was(node: LiveNode) -> None:
    """Probes execute for months: neither descriptors nor memory may grow."""

    async def body() -> None:
        rig = node.rig
        container = await rig.run(await rig.sandbox("probed"), "sleep 1000")
        (shim,) = processes_titled(f"{rig.config.label} default/probed")
        for _ in range(50):
            await rig.exec(container, "true")
        before = descriptors(shim), resident_kib(shim)
        for _ in range(20):
            await asyncio.gather(*(rig.exec(container, "echo x") for _ in range(10)))
        await rig.until(lambda: descriptors(shim) == before[0], "descriptors are closed")
        assert resident_kib(shim) - before[1] < 350

    node.run(asyncio.wait_for(body(), 60))


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
