"""The runtime's end of a shim: requests, exit events, and streams of exec and attach."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from tiphys.lib.tasks import TaskSet
from tiphys.runtime import shim_sockets
from tiphys.runtime.shim import frames

CALL_SECONDS: Final = 60.0
READ_BYTES: Final = 65536
ZYGOTE_SECONDS_MAX: Final = 3.0
_ZYGOTE_POLL_SECONDS: Final = 0.02


class ShimError(Exception):
    """The shim refused or is gone; the text says why."""


class ShimGone(ShimError):
    """The other end has closed the connection."""


class ShimClient:
    """One control connection. `on_exit(status)` is called when a container has ended, `on_gone()`
    when the shim has."""

    def __init__(
        self,
        socket_path: str,
        on_exit: Callable[[dict[str, Any]], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._socket_path = socket_path
        self._on_exit = on_exit
        self._on_gone = on_gone
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last_id = 0
        self._writer: asyncio.StreamWriter | None = None
        self._tasks = TaskSet()

    async def create(self, zygote_socket: str, sandbox: dict[str, Any]) -> dict[str, Any]:
        """Fork a new shim for sandbox. Returns its state.

        A zygote that has just been killed comes back: it is waited for. Raises: ShimGone when it
        was killed with the request in hand, ShimError.
        """
        try:
            async with asyncio.timeout(ZYGOTE_SECONDS_MAX):
                reader, writer = await _connect_in_time(zygote_socket)
        except TimeoutError as exc:
            raise ShimError(f"no zygote listens at {zygote_socket}") from exc
        writer.write(frames.pack_control(sandbox | {"id": 0}))
        return await self._open(reader, writer)

    async def connect(self) -> dict[str, Any]:
        """Meet a shim that runs already. Returns its state. Raises: ShimError."""
        try:
            reader, writer = await _connect(self._socket_path)
            writer.write(frames.pack_control({"id": 0, "op": "hello"}))
        except OSError as exc:
            raise ShimError(f"no shim at {self._socket_path}: {exc}") from exc
        return await self._open(reader, writer)

    async def _open(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> dict[str, Any]:
        self._writer = writer
        answer = self._expect(0)
        self._tasks.start(self._read(reader), f"shim {self._socket_path}")
        return await self._answer(answer, "hello")

    def _expect(self, number: int) -> asyncio.Future[dict[str, Any]]:
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        return future

    async def _answer(self, future: asyncio.Future[dict[str, Any]], what: str) -> dict[str, Any]:
        try:
            return await asyncio.wait_for(future, CALL_SECONDS)
        except TimeoutError as exc:
            raise ShimError(f"{what}: the shim does not answer") from exc

    async def call(self, op: str, **fields: Any) -> dict[str, Any]:
        """One request. Raises: ShimError."""
        if self._writer is None:
            raise ShimGone(f"{op}: the shim is gone")
        self._last_id += 1
        number = self._last_id
        answer = self._expect(number)
        self._writer.write(frames.pack_control(fields | {"id": number, "op": op}))
        try:
            return await self._answer(answer, op)
        finally:
            self._waiting.pop(number, None)

    async def stream(self, op: str, **fields: Any) -> "ShimStream":
        """An exec or attach on a connection of its own. Raises: ShimError."""
        try:
            reader, writer = await _connect(self._socket_path)
        except OSError as exc:
            raise ShimGone(f"{op}: the shim is gone") from exc
        writer.write(frames.pack_control(fields | {"id": 1, "op": op}))
        stream = ShimStream(reader, writer)
        try:
            await stream.open()
        except BaseException:
            stream.close()
            raise
        return stream

    async def _read(self, reader: asyncio.StreamReader) -> None:
        async for channel, payload in _frames(reader):
            if channel != frames.CONTROL:
                continue
            message = json.loads(payload)
            if message.get("event") == "exit":
                self._on_exit(message["status"])
                continue
            future = self._waiting.pop(message["id"], None)
            if future is None or future.done():
                continue
            if "error" in message:
                future.set_exception(ShimError(message["error"]))
            else:
                future.set_result(message["ok"])
        self._lost()

    def _lost(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ShimGone("the shim is gone"))
        self._waiting.clear()
        self._on_gone()

    async def close(self) -> None:
        await self._tasks.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class ShimStream:
    """A process's streams: iterate over (channel, bytes), then read `exit_code`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._frames = _frames(reader)
        self._writer = writer
        self.exit_code: int | None = None

    async def open(self) -> None:
        """Wait until the process runs. Raises: ShimError with the reason why it does not."""
        async for channel, payload in self._frames:
            if channel == frames.CONTROL:
                message = json.loads(payload)
                if "error" in message:
                    raise ShimError(message["error"])
                return
        raise ShimGone("the shim is gone")

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """STDOUT and STDERR pieces until the process has ended."""
        async for channel, payload in self._frames:
            if channel != frames.CONTROL:
                yield channel, payload
                continue
            message = json.loads(payload)
            if message.get("event") == "exit":
                self.exit_code = message["code"]
                return

    async def write(self, data: bytes) -> None:
        """Input for the process; b"" ends it."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(frames.pack(frames.STDIN, data))
            await self._writer.drain()

    async def resize(self, columns: int, rows: int) -> None:
        size = json.dumps({"columns": columns, "rows": rows}).encode()
        with contextlib.suppress(ConnectionError):
            self._writer.write(frames.pack(frames.RESIZE, size))
            await self._writer.drain()

    def close(self) -> None:
        """Leave. A process started by exec is killed when it still runs."""
        self._writer.close()


async def _connect_in_time(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Try until somebody listens; the caller sets the limit."""
    while True:
        try:
            return await _connect(path)
        except OSError:
            await asyncio.sleep(_ZYGOTE_POLL_SECONDS)


async def _connect(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = shim_sockets.connect(path)  # Unix sockets connect at once or fail.
    sock.setblocking(False)
    return await asyncio.open_unix_connection(sock=sock)


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    unpacker = frames.FrameReader()
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(READ_BYTES):
            for frame in unpacker.feed(data):
                yield frame
