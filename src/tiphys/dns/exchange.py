"""One query to one server, over UDP or TCP. Source: RFC 5452 (what was asked must be answered)."""

import asyncio
import struct
from typing import cast

from tiphys.dns.packet import FormatError, read_name
from tiphys.dns.settings import Upstream


async def exchange(query: bytes, upstream: Upstream, *, tcp: bool) -> bytes:
    """The answer. Raises OSError, asyncio.IncompleteReadError; waits for ever otherwise."""
    return await (_tcp if tcp else _udp)(query, upstream)


async def _udp(query: bytes, upstream: Upstream) -> bytes:
    """From a port of its own, which nobody can guess."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Asking(query, answer), remote_addr=(upstream.address, upstream.port)
    )
    try:
        return await answer
    finally:
        transport.close()


async def _tcp(query: bytes, upstream: Upstream) -> bytes:
    reader, writer = await asyncio.open_connection(upstream.address, upstream.port)
    try:
        writer.write(struct.pack(">H", len(query)) + query)
        (length,) = struct.unpack(">H", await reader.readexactly(2))
        return await reader.readexactly(length)
    finally:
        writer.close()


class _Asking(asyncio.DatagramProtocol):
    def __init__(self, query: bytes, answer: "asyncio.Future[bytes]") -> None:
        self._query = query
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.DatagramTransport, transport).sendto(self._query)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self._answer.done() and matches(self._query, data):
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


def matches(query: bytes, answer: bytes) -> bool:
    """Same id, same question, and an answer."""
    if len(answer) < 12 or answer[:2] != query[:2] or not answer[2] & 0x80:
        return False
    try:
        asked, end = read_name(query, 12)
        told, told_end = read_name(answer, 12)
    except FormatError:
        return False
    same_type = query[end : end + 4] == answer[told_end : told_end + 4]
    return asked.lower() == told.lower() and same_type
