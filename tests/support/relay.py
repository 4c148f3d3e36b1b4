"""A TCP relay whose connections a test can cut or slow down, and which can refuse new ones."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

CHUNK_BYTES = 64 * 1024


class Relay:
    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self.delay_seconds = 0.0  # Of what the target says.
        self._refuses = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.connections = 0

    @classmethod
    async def to(cls, port: int) -> "Relay":
        relay = cls(port)
        relay._server = await asyncio.start_server(relay._serve, "127.0.0.1", 0)
        relay.port = relay._server.sockets[0].getsockname()[1]
        return relay

    def cut(self, *, refuse: bool = False) -> None:
        """Reset every connection; with refuse also those to come, until `heal`."""
        self._refuses = refuse
        for writer in list(self._writers):
            writer.transport.abort()

    def heal(self) -> None:
        self._refuses = False

    async def close(self) -> None:
        self.cut(refuse=True)
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._refuses:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, back}
        try:
            await asyncio.gather(
                _copy(reader, back), _copy(there, writer, lambda: self.delay_seconds)
            )
        finally:
            self._writers -= {writer, back}
            for one in (writer, back):
                one.transport.abort()


async def _copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    delay_seconds: Callable[[], float] = lambda: 0.0,
) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(CHUNK_BYTES):
            await asyncio.sleep(delay_seconds())
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
