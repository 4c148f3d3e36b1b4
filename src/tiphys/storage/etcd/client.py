"""Calls to one of several etcd members; when it does not answer, to the next.

All calls and the watch use the same member as long as it answers, one HTTP/2 connection each. A
silent member is given up: its connection is closed, which ends everything that waits on it. One
that lives but cannot serve may only wait for an election, as the others do: it is asked again for
AVOID_SECONDS before the next one is.
Upstream: etcd client/v3 (retry_interceptor.go: only reads are asked again there).
"""

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import grpclib.client
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from tiphys.lib.grpc.codec import CodecError
from tiphys.lib.grpc.wire import TableCodec
from tiphys.storage.backend import StorageError
from tiphys.storage.etcd.errors import NoAnswer, from_status
from tiphys.storage.etcd.schema import schema

log = logging.getLogger(__name__)

CONNECT_SECONDS_MAX: Final = 1.0  # TCP and TLS; a dead host never answers.
ATTEMPT_SECONDS_MAX: Final = 1.0  # Then it is sent again, here or elsewhere.
ALIVE_SECONDS: Final = 0.9  # Who said something so lately is not silent.
AVOID_SECONDS: Final = 2.0  # An election takes one to two seconds (etcd: 1000 ms timeout).
SILENT_SECONDS: Final = 10.0  # A member that was silent comes last for so long.
# etcd gives a request up after 7 s (server/config.go ReqTimeout: 5 s + 2 election timeouts).
CALL_SECONDS_MAX: Final = 10.0
PAUSE_SECONDS: Final = 0.05  # Before a call is tried again.
DEFAULT_PORT: Final = 2379
BROKEN: Final = (ProtocolError, StreamTerminatedError, CodecError, OSError, TimeoutError)


class Member(NamedTuple):
    """An open connection, and which endpoint it is to."""

    url: str
    number: int  # among the endpoints
    channel: grpclib.client.Channel


class EtcdClient:
    """Calls by method name with dicts of the table (see schema). Belongs to one event loop."""

    def __init__(self, endpoints: Sequence[str], tls: ssl.SSLContext | None) -> None:
        """Endpoints are URLs, the preferred one first; https needs tls.

        Raises StorageError for a list that cannot be used.
        """
        if not endpoints:
            raise StorageError("no etcd endpoint is given")
        self.endpoints = list(endpoints)
        self._addresses = [_address(url, tls) for url in endpoints]
        self._tls = tls
        self._channels: dict[int, grpclib.client.Channel] = {}
        self._current = 0
        self._closed = False
        self._alive_at: dict[int, float] = {}
        self._silent_at: dict[int, float] = {}
        self._failing_since: float | None = None  # The member in use lives, but does not serve.

    async def call(
        self, method: str, request: Mapping[str, Any], seconds: float = CALL_SECONDS_MAX
    ) -> dict[str, Any]:
        """Ask until a member answers: for what may be asked twice.

        Raises EtcdError, or NoAnswer after so many seconds.
        """
        end = _now() + seconds
        while True:
            try:
                return await self.attempt(method, request)
            except NoAnswer:
                if _now() + PAUSE_SECONDS >= end:
                    raise
            await asyncio.sleep(PAUSE_SECONDS)

    async def attempt(self, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask one member once. Raises EtcdError, NoAnswer."""
        member = await self.connect()
        entry = schema().methods[method]
        types: Any = (entry.request, entry.response)
        stub: Any = grpclib.client.UnaryUnaryMethod(member.channel, entry.path, *types)
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS_MAX):
                answer: dict[str, Any] = await stub(request, timeout=ATTEMPT_SECONDS_MAX)
        except GRPCError as error:
            failure = from_status(method, error)
            if isinstance(failure, NoAnswer):
                self.avoid(member, f"{method}: {error.message}")
            raise failure from error
        except BROKEN as error:
            text = f"{method}: {type(error).__name__} {error}".rstrip()
            if isinstance(error, TimeoutError) and self._is_alive(member):
                self.avoid(member, text)
            else:
                self.give_up(member, text)
            raise NoAnswer(f"etcd at {member.url}: {text}", may_have_happened=True) from error
        self.answered(member)
        self._failing_since = None
        return answer

    async def connect(self) -> Member:
        """The member in use, connected. Raises NoAnswer, upon which the next one is in use."""
        if self._closed:
            raise StorageError("the store is closed")
        number = self._current
        channel = self._channels.get(number) or self._open(number)
        member = Member(self.endpoints[number], number, channel)
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                # The way by which calls connect: done here, a failure means that nothing was sent.
                await channel.__connect__()
        except BROKEN as error:
            text = f"cannot connect: {error or type(error).__name__}"
            self.give_up(member, text)
            raise NoAnswer(f"etcd at {member.url}: {text}", may_have_happened=False) from error
        if self._channels.get(number) is not channel:
            channel.close()  # Given up by others meanwhile.
            raise NoAnswer(f"etcd at {member.url}: given up", may_have_happened=False)
        return member

    def answered(self, member: Member) -> None:
        """It gave a sign of life."""
        self._alive_at[member.number] = _now()

    def _is_alive(self, member: Member) -> bool:
        return _now() - self._alive_at.get(member.number, -ALIVE_SECONDS) < ALIVE_SECONDS

    def avoid(self, member: Member, why: str) -> None:
        """It lives but does not serve: use the next member if that goes on for long."""
        if member.number != self._current:
            return
        self._failing_since = self._failing_since or _now()
        if _now() - self._failing_since > AVOID_SECONDS:
            self._use_next(member, why)

    def give_up(self, member: Member, why: str) -> None:
        """It is silent: close this connection, and use the next member."""
        if self._channels.get(member.number) is member.channel:
            del self._channels[member.number]
            member.channel.close()
            self._silent_at[member.number] = _now()
            if member.number == self._current:
                self._use_next(member, why)

    def _use_next(self, member: Member, why: str) -> None:
        count = len(self._addresses)
        others = [(member.number + step) % count for step in range(1, count)]
        # Of those that were silent lately, the one for which that is longest ago.
        lately = _now() - SILENT_SECONDS
        others.sort(key=lambda number: max(self._silent_at.get(number, 0.0), lately))
        self._current = others[0] if others else member.number
        self._failing_since = None
        log.warning("etcd member left", extra={"url": member.url, "why": why})

    def _open(self, number: int) -> grpclib.client.Channel:
        host, port = self._addresses[number]
        channel = grpclib.client.Channel(host, port, codec=TableCodec(schema()), ssl=self._tls)
        self._channels[number] = channel
        return channel

    def close(self) -> None:
        self._closed = True
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()


def tls_context(ca_file: str, cert_file: str, key_file: str) -> ssl.SSLContext:
    """Trust only this authority, show this certificate, speak HTTP/2.

    Raises StorageError that names the files.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
        context.load_cert_chain(cert_file, key_file)
    except OSError as error:  # ssl.SSLError is one
        files = f"{ca_file}, {cert_file}, {key_file}"
        raise StorageError(f"cannot use the files for etcd ({files}): {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    return context


def _address(url: str, tls: ssl.SSLContext | None) -> tuple[str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        port = 0
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port:
        raise StorageError(f"{url!r} is no etcd endpoint: https://HOST:PORT is expected")
    if (parts.scheme == "https") != (tls is not None):
        raise StorageError(f"{url}: https needs etcd's CA and a client certificate, http has none")
    return parts.hostname, port


def _now() -> float:
    return asyncio.get_running_loop().time()
