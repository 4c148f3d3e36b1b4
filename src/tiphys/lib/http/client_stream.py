"""Answers as a client reads them: whole, or as they come, over whatever carries them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final, Protocol

IDLE_SECONDS_MAX: Final = 5.0  # A kept connection costs memory at both ends, a new one 1 ms.
BODY_BYTES_MAX: Final = 256 << 20  # A list of 100,000 pods fits; more is a broken server.
CONNECT_SECONDS_MAX: Final = 10.0


class HttpError(Exception):
    """The request got no answer: what was attempted, and why it failed."""


@dataclass(slots=True)
class Answer:
    """A whole answer. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass(slots=True)
class Pending:
    """An answer in the making."""

    head: "asyncio.Future[Answer]"
    streaming: bool
    chunks: deque[bytes] = field(default_factory=deque)
    size: int = 0
    complete: bool = False
    error: Exception | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Carrier(Protocol):
    """What an answer comes over: a connection, or a stream of one."""

    def resume(self, pending: Pending) -> None:
        """Its reader has taken something: more may come."""

    def abort(self) -> None:
        """Nobody wants the rest."""


class Stream:
    """A streaming answer: status and headers at once, then chunks as they come."""

    def __init__(self, answer: Answer, carrier: Carrier, pending: Pending) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.carrier = carrier
        self._pending = pending

    async def read(self) -> bytes:
        """The next chunk; empty at the end. Raises HttpError when the connection broke."""
        pending = self._pending
        while not pending.chunks:
            if pending.error is not None:
                raise pending.error
            if pending.complete:
                return b""
            pending.changed.clear()
            await pending.changed.wait()
        chunk = pending.chunks.popleft()
        pending.size -= len(chunk)
        self.carrier.resume(pending)
        return chunk

    async def chunks(self) -> AsyncIterator[bytes]:
        while chunk := await self.read():
            yield chunk

    async def lines(self) -> AsyncIterator[bytes]:
        """Whole lines without their newline; a last line without newline counts too."""
        rest = bytearray()
        while chunk := await self.read():
            rest += chunk
            if b"\n" in chunk:
                *whole, last = bytes(rest).split(b"\n")
                rest = bytearray(last)
                for line in whole:
                    yield line
        if rest:
            yield bytes(rest)

    def close(self) -> None:
        self.carrier.abort()
