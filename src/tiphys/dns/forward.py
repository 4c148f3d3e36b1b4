"""Forwarding of foreign names to the machine's real resolvers, over UDP and TCP.

Stub resolvers on loopback cannot be reached from a node's network namespace, so the files that
hold the real ones are read. Source: RFC 5452 (the answer must match what was asked).
"""

import asyncio
import random
import struct
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final, cast

from tiphys.dns.packet import FormatError, read_name

TIMEOUT_SECONDS: Final = 2.0  # Per upstream; resolv.conf's default is 5 for two tries.
IN_FLIGHT_MAX: Final = 1000  # CoreDNS forward max_concurrent in kubeadm.
PORT: Final = 53
# systemd-resolved's list of real servers comes before the file that may name its stub.
RESOLVER_FILES: Final = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))


class ForwardError(Exception):
    """No upstream answered: which were asked."""


def real_resolvers(texts: Iterable[str]) -> tuple[str, ...]:
    """Nameservers of resolv.conf texts that are not on loopback; of the first that has any."""
    for text in texts:
        found = []
        for line in text.splitlines():
            words = line.split()
            if len(words) >= 2 and words[0] == "nameserver":
                try:
                    address = ip_address(words[1].partition("%")[0])
                except ValueError:
                    continue
                if not address.is_loopback:
                    found.append(str(address))
        if found:
            return tuple(found)
    return ()


def machine_resolvers() -> tuple[str, ...]:
    """Those of this machine; none when there are none."""
    return real_resolvers(p.read_text(errors="replace") for p in RESOLVER_FILES if p.exists())


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


class Forwarder:
    def __init__(self, upstreams: Sequence[str], rng: random.Random) -> None:
        self._upstreams = list(upstreams)
        self._rng = rng
        self._in_flight = 0

    async def ask(self, query: bytes, *, tcp: bool) -> bytes:
        """The first upstream's answer, with the query's own id. Raises ForwardError."""
        if not self._upstreams:
            raise ForwardError("no upstream resolvers are known")
        if self._in_flight >= IN_FLIGHT_MAX:
            raise ForwardError(f"more than {IN_FLIGHT_MAX} forwarded queries wait")
        ident = struct.pack(">H", self._rng.getrandbits(16))  # Never the client's: RFC 5452.
        own = ident + query[2:]
        self._in_flight += 1
        try:
            for upstream in self._upstreams:
                try:
                    async with asyncio.timeout(TIMEOUT_SECONDS):
                        found = await (self._tcp if tcp else self._udp)(own, upstream)
                    return query[:2] + found[2:]
                except (OSError, TimeoutError, asyncio.IncompleteReadError):
                    continue
        finally:
            self._in_flight -= 1
        raise ForwardError(f"no answer from {', '.join(self._upstreams)}")

    async def _udp(self, query: bytes, upstream: str) -> bytes:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Asking(query, answer), remote_addr=(upstream, PORT)
        )
        try:
            return await answer
        finally:
            transport.close()

    async def _tcp(self, query: bytes, upstream: str) -> bytes:
        reader, writer = await asyncio.open_connection(upstream, PORT)
        try:
            writer.write(struct.pack(">H", len(query)) + query)
            (length,) = struct.unpack(">H", await reader.readexactly(2))
            return await reader.readexactly(length)
        finally:
            writer.close()
