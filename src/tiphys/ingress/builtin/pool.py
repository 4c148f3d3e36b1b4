"""Connections to endpoints: kept ones, and new ones."""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Final

from tiphys.ingress.builtin.backend import BackendConnection
from tiphys.ingress.table import Endpoint

IDLE_SECONDS_MAX: Final = 10.0
# A request that may not be sent twice goes only where nobody had time to grow tired of us.
FRESH_SECONDS: Final = 1.0
KEPT_MAX: Final = 128  # Per endpoint; ingress-nginx keeps 320 for all.

_Key = tuple[Endpoint, bool]


class Pool:
    """now: the loop's time, coarse."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._idle: dict[_Key, list[BackendConnection]] = {}
        self._endpoints: frozenset[Endpoint] = frozenset()
        self._tls = _unverified()

    def take(self, endpoint: Endpoint, *, tls: bool, repeatable: bool) -> BackendConnection | None:
        """A kept connection, the one used last."""
        idle = self._idle.get((endpoint, tls))
        while idle:
            connection = idle.pop()
            if connection.closed:
                continue
            if repeatable or self._now() - connection.idle_since < FRESH_SECONDS:
                return connection
            connection.close()
        return None

    async def connect(self, endpoint: Endpoint, *, tls: bool, seconds: float) -> BackendConnection:
        """Raises OSError or TimeoutError."""
        async with asyncio.timeout(seconds):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: BackendConnection(endpoint, tls=tls),
                endpoint.address,
                endpoint.port,
                ssl=self._tls if tls else None,
                server_hostname="" if tls else None,
            )
        return connection

    def give(self, connection: BackendConnection) -> None:
        """Keep it for the next request, if it is good for one."""
        if connection.closed:
            return
        idle = self._idle.setdefault((connection.endpoint, connection.tls), [])
        if len(idle) >= KEPT_MAX or connection.endpoint not in self._endpoints:
            connection.close()
            return
        connection.idle_since = self._now()
        connection.resume_reading()
        idle.append(connection)

    def keep_only(self, endpoints: Iterable[Endpoint]) -> None:
        """Close what is kept to others; what is under way there goes on."""
        self._endpoints = frozenset(endpoints)
        for key in [key for key in self._idle if key[0] not in self._endpoints]:
            for connection in self._idle.pop(key):
                connection.close()

    def sweep(self) -> None:
        """Close what nobody has used for long."""
        oldest = self._now() - IDLE_SECONDS_MAX
        for key, idle in list(self._idle.items()):
            for connection in idle:
                if connection.idle_since < oldest and not connection.closed:
                    connection.close()
            kept = [c for c in idle if not c.closed]
            if kept:
                self._idle[key] = kept
            else:
                del self._idle[key]

    def close(self) -> None:
        self.keep_only(())


def _unverified() -> ssl.SSLContext:
    """Pods have certificates of their own making: as ingress-nginx, proxy-ssl-verify off."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
