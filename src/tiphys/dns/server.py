"""DNS over UDP and TCP: answers from the zone at once, everything else by forwarding.

Bounds: TCP connections and their idle time, forwarded queries (forward.py), message sizes.
Sources: RFC 1035 4.2, RFC 7766.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import Final, cast

from tiphys.dns.forward import Forwarder, ForwardError
from tiphys.dns.metrics import DnsMetrics
from tiphys.dns.packet import (
    FORMERR,
    SERVFAIL,
    FormatError,
    Query,
    Record,
    error_answer,
    parse_query,
    read_name,
    write_answer,
)
from tiphys.dns.resolve import answer, external_alias
from tiphys.dns.zone import Zone
from tiphys.lib.tasks import TaskSet

log = logging.getLogger(__name__)

TCP_CONNECTIONS_MAX: Final = 256
TCP_IDLE_SECONDS: Final = 10.0
_MESSAGE_BYTES_MIN: Final = 12


class DnsServer:
    """zone() gives the zone of the moment."""

    def __init__(
        self, zone: Callable[[], Zone], forwarder: Forwarder, metrics: DnsMetrics | None = None
    ) -> None:
        self._metrics = metrics or DnsMetrics()
        self._zone = zone
        self._forwarder = forwarder
        self._tasks = TaskSet()
        self._connections = 0
        self._turn = 0
        self._transports: list[asyncio.DatagramTransport] = []
        self._servers: list[asyncio.Server] = []

    async def listen(self, address: str, port: int) -> int:
        """UDP and TCP on one port; returns it. Raises OSError."""
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._talk, address, port)
        port = int(server.sockets[0].getsockname()[1])
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _UdpProtocol(self), local_addr=(address, port)
        )
        self._servers.append(server)
        self._transports.append(transport)
        return port

    async def close(self) -> None:
        for transport in self._transports:
            transport.close()
        for server in self._servers:
            server.close()
        await self._tasks.close()

    def answer_now(self, data: bytes, *, tcp: bool) -> tuple[bytes | None, Query | None]:
        """(answer, None) at once, or (None, query) when it must be forwarded."""
        self._metrics.asked(tcp=tcp)
        try:
            query = parse_query(data)
        except FormatError:
            return error_answer(data, FORMERR), None
        self._turn += 1
        found = answer(query, self._zone(), tcp=tcp, turn=self._turn)
        if found is not None:
            self._metrics.answered(found)
        return (found, None) if found is not None else (None, query)

    async def forwarded(self, data: bytes, query: Query, *, tcp: bool) -> bytes:
        """What an upstream says; SERVFAIL when none does."""
        self._metrics.forwarded()
        found = await self._from_upstream(data, query, tcp=tcp)
        self._metrics.answered(found)
        return found

    async def _from_upstream(self, data: bytes, query: Query, *, tcp: bool) -> bytes:
        try:
            alias = external_alias(query, self._zone())
            if alias is not None:
                return await self._alias(query, alias, tcp=tcp)
            return await self._forwarder.ask(data, tcp=tcp)
        except ForwardError as exc:
            log.debug("not forwarded", extra={"query": query.name, "why": str(exc)})
            return write_answer(query, SERVFAIL, authoritative=False)

    async def _alias(self, query: Query, alias: Record, *, tcp: bool) -> bytes:
        """The CNAME of an ExternalName Service, with the addresses that upstream has for it."""
        limit = None if tcp else query.udp_bytes_max
        records = [alias]
        try:
            target = Query(
                query.id, str(alias.data), str(alias.data), query.type, query.cls, True, 512, False
            )
            asked = bytearray(write_answer(target, 0, authoritative=False))
            asked[2:4] = b"\x01\x00"  # A query that desires recursion.
            found = await self._forwarder.ask(bytes(asked), tcp=tcp)
            records += addresses_in(found, str(alias.data))
        except ForwardError:
            pass
        return write_answer(query, 0, records, bytes_max=limit)

    def start(self, data: bytes, query: Query, send: Callable[[bytes], None]) -> None:
        async def forward() -> None:
            send(await self.forwarded(data, query, tcp=False))

        self._tasks.start(forward(), f"forward {query.name}")

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= TCP_CONNECTIONS_MAX:
            writer.close()
            return
        self._connections += 1
        try:
            while True:
                async with asyncio.timeout(TCP_IDLE_SECONDS):
                    (length,) = struct.unpack(">H", await reader.readexactly(2))
                    data = await reader.readexactly(length)
                found, query = self.answer_now(data, tcp=True)
                if query is not None:
                    found = await self.forwarded(data, query, tcp=True)
                if found is None:
                    return
                writer.write(struct.pack(">H", len(found)) + found)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return
        finally:
            self._connections -= 1
            writer.close()


class _UdpProtocol(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        transport = self._transport
        assert transport is not None
        found, query = self._server.answer_now(data, tcp=False)
        if found is not None:
            transport.sendto(found, addr)
        elif query is not None:
            self._server.start(data, query, lambda reply: transport.sendto(reply, addr))


def addresses_in(data: bytes, name: str) -> list[Record]:
    """The A, AAAA and CNAME records of an upstream's answer. What cannot be read is left out."""
    found: list[Record] = []
    try:
        count = struct.unpack_from(">H", data, 6)[0]
        _, offset = read_name(data, 12)
        offset += 4
        for _ in range(count):
            owner, offset = read_name(data, offset)
            kind, _, ttl, length = struct.unpack_from(">HHIH", data, offset)
            offset += 10
            if kind in (1, 28):
                family = socket.AF_INET if kind == 1 else socket.AF_INET6
                address = socket.inet_ntop(family, data[offset : offset + length])
                found.append(Record(owner or name, kind, ttl, address))
            elif kind == 5:
                found.append(Record(owner, kind, ttl, read_name(data, offset)[0]))
            offset += length
    except (FormatError, struct.error, ValueError):
        return found
    return found
