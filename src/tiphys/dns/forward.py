"""Forwarding of foreign names to the machine's real resolvers, over UDP and TCP.

Stub resolvers on loopback cannot be reached from a node's network namespace, so the files that
hold the real ones are read. Source: RFC 5452 (the answer must match what was asked).
"""

import asyncio
import logging
import random
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

from tiphys.dns.packet import FormatError, read_name
from tiphys.lib.resolv_conf import RESOLVER_FILES, real_resolvers

log = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 2.0  # Per upstream; resolv.conf's default is 5 for two tries.
IN_FLIGHT_MAX: Final = 1000  # CoreDNS forward max_concurrent in kubeadm.
PORT: Final = 53
CHECK_SECONDS: Final = 2.0  # Between two looks at the files; shorter than a resolver's time-out.


class ForwardError(Exception):
    """No upstream answered: which were asked."""


class MachineResolvers:
    """The machine's real resolvers as its files name them now.

    Looked at no more often than every CHECK_SECONDS and only when somebody asks: a laptop that
    changes networks writes new ones. Source: CoreDNS reads them once; glibc since 2.26 looks again.
    """

    def __init__(
        self,
        files: Sequence[Path] = RESOLVER_FILES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._monotonic = monotonic
        self._checked = -CHECK_SECONDS
        self._seen: list[tuple[int, ...]] = []
        self._found: tuple[str, ...] = ()

    def __call__(self) -> tuple[str, ...]:
        now = self._monotonic()
        if now - self._checked >= CHECK_SECONDS:
            self._checked = now
            seen = [_version(file) for file in self._files]
            if seen != self._seen:
                self._seen, self._found = seen, real_resolvers(self._texts())
                log.info("resolvers of the machine", extra={"addresses": self._found})
        return self._found

    def _texts(self) -> Iterator[str]:
        for file in self._files:
            with suppress(OSError):
                yield file.read_text(errors="replace")


def _version(file: Path) -> tuple[int, ...]:
    """Another one whenever the file is another; () when there is none."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


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
    def __init__(self, upstreams: Callable[[], Sequence[str]], rng: random.Random) -> None:
        self._upstreams = upstreams
        self._rng = rng
        self._in_flight = 0

    async def ask(self, query: bytes, *, tcp: bool) -> bytes:
        """The first upstream's answer, with the query's own id. Raises ForwardError."""
        upstreams = self._upstreams()
        if not upstreams:
            raise ForwardError("no upstream resolvers are known")
        if self._in_flight >= IN_FLIGHT_MAX:
            raise ForwardError(f"more than {IN_FLIGHT_MAX} forwarded queries wait")
        ident = struct.pack(">H", self._rng.getrandbits(16))  # Never the client's: RFC 5452.
        own = ident + query[2:]
        self._in_flight += 1
        try:
            for upstream in upstreams:
                try:
                    async with asyncio.timeout(TIMEOUT_SECONDS):
                        found = await (self._tcp if tcp else self._udp)(own, upstream)
                    return query[:2] + found[2:]
                except (OSError, TimeoutError, asyncio.IncompleteReadError):
                    continue
        finally:
            self._in_flight -= 1
        raise ForwardError(f"no answer from {', '.join(upstreams)}")

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
