"""A name server that answers every A query with one address, and counts what it is asked."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Any

from tiphys.dns.packet import A, Record, parse_query, write_answer

ATTEMPTS_MAX = 20  # To find a port that nobody has.


class Upstream:
    """Over UDP, and over TCP where a test starts it; `cut` answers over UDP are truncated."""

    def __init__(self, address: str, *, ttl: int = 20, host: str = "127.0.0.1") -> None:
        self.address = address
        self.host = host  # Where it listens.
        self.asked: list[str] = []
        self.is_cut = False
        self.port = 0
        self._ttl = ttl
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> "Upstream":
        """On the port of before, when there was one; else on one that is free in both."""
        for _ in range(ATTEMPTS_MAX):
            try:
                return await self._start()
            except OSError:
                self.stop()
                if self.port:
                    raise
        raise OSError("no port is free for both UDP and TCP")

    async def _start(self) -> "Upstream":
        loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._talk, self.host, self.port)
        port = int(self._server.sockets[0].getsockname()[1])
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Udp(self), local_addr=(self.host, port)
        )
        self.port = port
        return self

    def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()

    def answer(self, data: bytes, *, tcp: bool) -> bytes:
        query = parse_query(data)
        self.asked.append(query.name)
        records = [Record(query.raw_name, A, self._ttl, self.address)]
        limit = 30 if self.is_cut and not tcp else None
        return write_answer(query, 0, records, bytes_max=limit, authoritative=False)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            (length,) = struct.unpack(">H", await reader.readexactly(2))
            found = self.answer(await reader.readexactly(length), tcp=True)
            writer.write(struct.pack(">H", len(found)) + found)
        writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._transport.sendto(self._upstream.answer(data, tcp=False), addr)


def a_query(name: str, kind: int = A, ident: int = 7) -> bytes:
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"
    return struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">HH", kind, 1)


async def ask(port: int, name: str, kind: int = A) -> bytes:
    """One query over UDP. Raises TimeoutError."""
    return await asyncio.to_thread(_ask, port, a_query(name, kind))


def _ask(port: int, query: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(10)
        asking.connect(("127.0.0.1", port))
        asking.send(query)
        return asking.recv(4096)


def addresses(answer: bytes) -> list[str]:
    """The A records of an answer."""
    from tiphys.dns.external_name import addresses_in

    return [str(r.data) for r in addresses_in(answer, "") if r.type == A]


def free_port() -> int:
    """That nobody has, neither of UDP nor of TCP, at this moment."""
    for _ in range(ATTEMPTS_MAX):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        ):
            udp.bind(("127.0.0.1", 0))
            with suppress(OSError):
                tcp.bind(udp.getsockname())
                return int(udp.getsockname()[1])
    raise OSError("no port is free for both UDP and TCP")
