"""Forwarding of foreign names to other servers, with a cache and the health of each server.

A server that failed is not asked until it answers a health check; when all have failed, all are
asked anyway. Servers are asked in the order of their list, as resolv.conf(5) has it.
Upstream: CoreDNS plugin/forward, which begins with any of them.
"""

import asyncio
import logging
import random
import struct
import time
from collections.abc import Callable, Sequence
from typing import Final

from tiphys.dns.answer_cache import AnswerCache
from tiphys.dns.exchange import exchange
from tiphys.dns.metrics import DnsMetrics
from tiphys.dns.packet import CLASS_IN, NS, read_name
from tiphys.dns.settings import Settings, Upstream
from tiphys.lib.tasks import TaskSet

log = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 2.0  # Per upstream; resolv.conf's default is 5 for two tries.
IN_FLIGHT_MAX: Final = 1000  # CoreDNS forward max_concurrent in kubeadm.
HEALTH_SECONDS: Final = 0.5  # CoreDNS forward health_check.
FAILURES_MAX: Final = 2  # CoreDNS forward max_fails.
_HEADER_BYTES: Final = 12
# Without its id: the name servers of the root, recursion desired. Any answer is a good one.
_HEALTH_QUERY: Final = struct.pack(">HHHHHBHH", 0x0100, 1, 0, 0, 0, 0, NS, CLASS_IN)


class ForwardError(Exception):
    """No upstream answered: which were asked."""


class Forwarder:
    """machine: the machine's own resolvers, for what the settings leave open."""

    def __init__(
        self,
        machine: Callable[[], Sequence[str]],
        rng: random.Random,
        metrics: DnsMetrics | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine = machine
        self._rng = rng
        self._metrics = metrics or DnsMetrics()
        self._monotonic = monotonic
        self._settings = Settings()
        self._cache = AnswerCache()
        self._in_flight = 0
        self._failures: dict[Upstream, int] = {}  # In a row; only of those that failed.
        self._checks = TaskSet()

    def use(self, settings: Settings) -> None:
        """Ask whom these settings name from now on."""
        self._settings = settings
        self._cache.clear()

    def upstreams(self, name: str) -> tuple[Upstream, ...]:
        """Whom a (lower-case) name is asked of, the failing ones last."""
        listed = self._settings.stub_for(name) or self._settings.upstreams
        found = listed or tuple([Upstream(a) for a in self._machine()])
        return tuple(sorted(found, key=self._is_down))

    def cached(self, query: bytes, *, tcp: bool) -> bytes | None:
        """An answer of before that still holds."""
        found = self._cache.get(query, _question(query)[1], self._monotonic(), tcp=tcp)
        self._metrics.cached(found is not None)
        return found

    async def ask(self, query: bytes, *, tcp: bool) -> bytes:
        """An upstream's answer, with the query's own id. Raises ForwardError."""
        name, end = _question(query)
        upstreams = self.upstreams(name)
        if not upstreams:
            raise ForwardError("no upstream resolvers are known")
        if self._in_flight >= IN_FLIGHT_MAX:
            raise ForwardError(f"more than {IN_FLIGHT_MAX} forwarded queries wait")
        healthy = [u for u in upstreams if not self._is_down(u)] or upstreams
        self._in_flight += 1
        try:
            for upstream in healthy:
                found = await self._try(query, upstream, tcp=tcp)
                if found is not None:
                    self._cache.put(query, end, found, self._monotonic(), tcp=tcp)
                    return found
        finally:
            self._in_flight -= 1
        raise ForwardError(f"no answer from {', '.join(str(u) for u in healthy)}")

    async def close(self) -> None:
        await self._checks.close()

    async def _try(self, query: bytes, upstream: Upstream, *, tcp: bool) -> bytes | None:
        ident = struct.pack(">H", self._rng.getrandbits(16))  # Never the client's: RFC 5452.
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                found = await exchange(ident + query[2:], upstream, tcp=tcp)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as exc:
            self._failed(upstream, exc)
            return None
        self._recovered(upstream)
        return query[:2] + found[2:]

    def _is_down(self, upstream: Upstream) -> bool:
        return self._failures.get(upstream, 0) >= FAILURES_MAX

    def _failed(self, upstream: Upstream, why: Exception) -> None:
        count = self._failures.get(upstream, 0) + 1
        self._failures[upstream] = count
        if count == 1:
            self._checks.start(self._check(upstream), f"health of {upstream}")
        if count == FAILURES_MAX:
            reason = str(why) or f"no answer in {TIMEOUT_SECONDS:g} s"
            log.warning("upstream is down", extra={"server": str(upstream), "why": reason})
        self._count()

    def _recovered(self, upstream: Upstream) -> None:
        if self._failures.pop(upstream, 0) >= FAILURES_MAX:
            log.info("upstream answers again", extra={"server": str(upstream)})
            self._count()

    def _count(self) -> None:
        self._metrics.unhealthy(sum(n >= FAILURES_MAX for n in self._failures.values()))

    async def _check(self, upstream: Upstream) -> None:
        """Ask until it answers anything, for as long as it is known to fail."""
        while upstream in self._failures:
            await asyncio.sleep(HEALTH_SECONDS)
            if upstream not in self.known():
                self._failures.pop(upstream, None)  # Nobody asks it any more.
                self._count()
                return
            ident = struct.pack(">H", self._rng.getrandbits(16))
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    await exchange(ident + _HEALTH_QUERY, upstream, tcp=False)
            except (OSError, TimeoutError) as exc:
                if upstream in self._failures:
                    self._failed(upstream, exc)
            else:
                self._recovered(upstream)

    def known(self) -> set[Upstream]:
        """Everybody who may be asked."""
        found = {u for servers in self._settings.stubs.values() for u in servers}
        return found | set(self._settings.upstreams) | {Upstream(a) for a in self._machine()}


def _question(query: bytes) -> tuple[str, int]:
    """Its name in lower case, and where the question ends."""
    name, end = read_name(query, _HEADER_BYTES)
    return name.lower(), end + 4
