"""DNS over UDP and TCP: answers from the zone at once, everything else by forwarding.

Bounds: TCP connections, their idle time and what each may ask at a time, forwarded queries
(forward.py), message sizes. Sources: RFC 1035 4.2, RFC 7766.
"""

import asyncio
import logging
import socket
import struct
from typing import Any, Final

from tiphys.dns.external_name import alias_answer, query_for
from tiphys.dns.forward import Forwarder, ForwardError
from tiphys.dns.metrics import DnsMetrics
from tiphys.dns.packet import (
    SERVFAIL,
    FormatError,
    Query,
    error_answer,
    is_truncated,
    parse_query,
    write_answer,
)
from tiphys.dns.resolve import answer, follow
from tiphys.dns.wire_answers import WireAnswers
from tiphys.dns.zone import Zone
from tiphys.lib.tasks import TaskSet

log = logging.getLogger(__name__)

TCP_CONNECTIONS_MAX: Final = 256
TCP_IDLE_SECONDS: Final = 10.0
TCP_PIPELINE_MAX: Final = 64  # Of one connection at a time (RFC 7766 6.2.1.1); more wait unread.
UDP_BATCH_MAX: Final = 64  # Queries read at once before others have a turn.
UDP_QUERY_BYTES_MAX: Final = 4096
UDP_BUFFER_BYTES: Final = 1 << 20  # Of the socket: some 1,000 queries that wait for their turn.


Address = tuple[Any, ...]
"""As recvfrom gives it: another one in IPv6."""


class DnsServer:
    def __init__(self, zone: Zone, forwarder: Forwarder, metrics: DnsMetrics | None = None) -> None:
        self._metrics = metrics or DnsMetrics()
        self._zone = zone
        self._forwarder = forwarder
        self._answers = WireAnswers(lambda: zone.version)
        self._tasks = TaskSet()
        self._connections = 0
        self._turn = 0
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []

    async def listen(self, address: str, port: int) -> int:
        """UDP and TCP on one port; returns it. Raises OSError."""
        server = await asyncio.start_server(self._talk, address, port)
        self._servers.append(server)
        port = int(server.sockets[0].getsockname()[1])
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        found = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._sockets.append(found)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER_BYTES)
        found.bind((address, port))
        asyncio.get_running_loop().add_reader(found.fileno(), self._read_batch, found)
        return port

    async def close(self) -> None:
        for found in self._sockets:
            asyncio.get_running_loop().remove_reader(found.fileno())
            found.close()
        for server in self._servers:
            server.close()
        await self._tasks.close()

    def _read_batch(self, found: socket.socket) -> None:
        """Answer what is there; the loop calls again while there is more."""
        for _ in range(UDP_BATCH_MAX):
            try:
                data, sender = found.recvfrom(UDP_QUERY_BYTES_MAX)
            except OSError:  # Nothing more, or an ICMP error of an earlier answer.
                return
            told = self._answers.get(data)
            if told is not None:
                self._metrics.asked(tcp=False)
                self._metrics.answered(told)
                _send(found, told, sender)
                continue
            told, query = self.answer_now(data, tcp=False)
            if query is not None:
                self._tasks.start(self._forward_udp(found, data, query, sender), "forward")
            elif told is not None:
                self._answers.put(data, told)
                _send(found, told, sender)

    async def _forward_udp(
        self, found: socket.socket, data: bytes, query: Query, sender: Address
    ) -> None:
        told = await self.forwarded(data, query, tcp=False)
        _send(found, told, sender)

    def answer_now(self, data: bytes, *, tcp: bool) -> tuple[bytes | None, Query | None]:
        """(answer, None) at once, or (None, query) when it must be forwarded."""
        self._metrics.asked(tcp=tcp)
        try:
            query = parse_query(data)
        except FormatError as exc:
            refusal = error_answer(data, exc.code)
            if refusal is not None:
                self._metrics.answered(refusal)
            return refusal, None
        self._turn += 1
        found = answer(query, self._zone, tcp=tcp, turn=self._turn)
        if found is None:
            return None, query
        self._metrics.answered(found)
        return found, None

    async def forwarded(self, data: bytes, query: Query, *, tcp: bool) -> bytes:
        """What an upstream says, now or before; SERVFAIL when none does."""
        try:
            found = await self._from_upstream(data, query, tcp=tcp)
        except ForwardError as exc:
            log.debug("not forwarded", extra={"query": query.name, "why": str(exc)})
            found = write_answer(query, SERVFAIL, authoritative=False)
        self._metrics.answered(found)
        return found

    async def _from_upstream(self, data: bytes, query: Query, *, tcp: bool) -> bytes:
        """Raises ForwardError."""
        aliases, foreign = follow(query, self._zone)
        if not aliases:
            return await self._ask(data, tcp=tcp)
        asked = query_for(query, foreign)
        found = await self._ask(asked, tcp=tcp)
        if not tcp and is_truncated(found):
            found = await self._ask(asked, tcp=True)
        return alias_answer(query, aliases, foreign, found, tcp=tcp)

    async def _ask(self, data: bytes, *, tcp: bool) -> bytes:
        found = self._forwarder.cached(data, tcp=tcp)
        if found is not None:
            return found
        self._metrics.forwarded()
        return await self._forwarder.ask(data, tcp=tcp)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= TCP_CONNECTIONS_MAX:
            writer.close()
            return
        self._connections += 1
        turns = asyncio.Semaphore(TCP_PIPELINE_MAX)
        try:
            while True:
                async with asyncio.timeout(TCP_IDLE_SECONDS):
                    (length,) = struct.unpack(">H", await reader.readexactly(2))
                    data = await reader.readexactly(length)
                    await turns.acquire()
                found, query = self.answer_now(data, tcp=True)
                if query is not None:
                    # Answers may overtake each other: the id tells whose each is.
                    self._tasks.start(self._forward_tcp(writer, data, query, turns), "forward")
                    continue
                turns.release()
                if found is None:
                    return
                await _write(writer, found)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return
        finally:
            await self._leave(writer, turns)

    async def _leave(self, writer: asyncio.StreamWriter, turns: asyncio.Semaphore) -> None:
        """Close when all that was asked has been answered, also for who only writes no more."""
        try:
            for _ in range(TCP_PIPELINE_MAX):
                await turns.acquire()
        finally:
            self._connections -= 1
            writer.close()

    async def _forward_tcp(
        self, writer: asyncio.StreamWriter, data: bytes, query: Query, turns: asyncio.Semaphore
    ) -> None:
        try:
            found = await self.forwarded(data, query, tcp=True)
            if not writer.is_closing():
                await _write(writer, found)
        except (OSError, TimeoutError):
            return  # The client has gone, or reads nothing.
        finally:
            turns.release()


def _send(found: socket.socket, answer: bytes, receiver: Address) -> None:
    try:
        found.sendto(answer, receiver)
    except OSError:
        return  # The way is full or gone: the client asks again.


async def _write(writer: asyncio.StreamWriter, answer: bytes) -> None:
    """Raises OSError; TimeoutError when the client reads nothing."""
    writer.write(struct.pack(">H", len(answer)) + answer)
    async with asyncio.timeout(TCP_IDLE_SECONDS):
        await writer.drain()
