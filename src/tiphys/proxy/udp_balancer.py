"""UDP through this process: a socket per frontend, and one for each client that spoke lately.

Upstream: pkg/proxy/userspace/proxysocket.go (up to v1.25).
"""

import asyncio
import logging
import socket
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from tiphys.proxy.plan import Frontend, Target

log = logging.getLogger(__name__)

CLIENTS_MAX: Final = 1024  # Of all frontends; the one that was silent for longest goes.
IDLE_SECONDS_MAX: Final = 30.0  # As the kernel's nf_conntrack_udp_timeout.
DATAGRAM_BYTES_MAX: Final = 65535
DATAGRAMS_PER_TURN_MAX: Final = 64  # Then others get their turn.
_SWEEP_SECONDS: Final = 5.0

Choose = Callable[[Frontend, str], Target | None]
Address = tuple[str, int]


@dataclass(slots=True)
class _Session:
    upstream: socket.socket
    target: Target
    seen: float


class UdpBalancer:
    """Listens on an address of the namespace in which it was made; needs a running loop."""

    def __init__(self, address: str, choose: Choose) -> None:
        self._address = address
        self._choose = choose
        self._loop = asyncio.get_running_loop()
        self._listeners: dict[Frontend, socket.socket] = {}
        self._sessions: OrderedDict[tuple[Frontend, Address], _Session] = OrderedDict()
        self._sweep = self._loop.call_later(_SWEEP_SECONDS, self._end_idle)

    def listen(self, frontend: Frontend) -> int:
        """The port that a frontend's datagrams must be sent to. Raises OSError."""
        found = self._listeners.get(frontend)
        if found is None:
            found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            found.bind((self._address, 0))
            self._listeners[frontend] = found
            self._loop.add_reader(found, self._from_clients, frontend, found)
        return int(found.getsockname()[1])

    def forget(self, frontend: Frontend) -> None:
        """The frontend is gone."""
        self.keep_only(frontend, ())
        if (listener := self._listeners.pop(frontend, None)) is not None:
            self._loop.remove_reader(listener)
            listener.close()

    def keep_only(self, frontend: Frontend, targets: Collection[Target]) -> None:
        """Clients of endpoints that do not serve any more choose anew with their next datagram."""
        for key, session in list(self._sessions.items()):
            if key[0] == frontend and session.target not in targets:
                self._end(key)

    def close(self) -> None:
        self._sweep.cancel()
        for frontend in list(self._listeners):
            self.forget(frontend)

    def _from_clients(self, frontend: Frontend, listener: socket.socket) -> None:
        for _ in range(DATAGRAMS_PER_TURN_MAX):
            try:
                data, client = listener.recvfrom(DATAGRAM_BYTES_MAX)
            except OSError:  # Nothing more, or an ICMP error about an answer.
                return
            session = self._session(frontend, client)
            if session is not None:
                with suppress(OSError):  # The endpoint's port is closed: as lost as on the wire.
                    session.upstream.send(data)

    def _session(self, frontend: Frontend, client: Address) -> _Session | None:
        key = (frontend, client)
        session = self._sessions.get(key)
        if session is None:
            session = self._begin(key)
            if session is None:
                return None
        session.seen = self._loop.time()
        self._sessions.move_to_end(key)
        return session

    def _begin(self, key: tuple[Frontend, Address]) -> _Session | None:
        frontend, client = key
        target = self._choose(frontend, client[0])
        if target is None:
            return None
        if len(self._sessions) >= CLIENTS_MAX:
            self._end(next(iter(self._sessions)))
        upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            upstream.connect(target)
        except OSError as exc:
            upstream.close()
            extra = {"address": f"{target.address}:{target.port}", "why": str(exc)}
            log.info("endpoint cannot be reached", extra=extra)
            return None
        session = _Session(upstream, target, self._loop.time())
        self._sessions[key] = session
        self._loop.add_reader(upstream, self._from_endpoint, key, session)
        return session

    def _from_endpoint(self, key: tuple[Frontend, Address], session: _Session) -> None:
        frontend, client = key
        for _ in range(DATAGRAMS_PER_TURN_MAX):
            try:
                data = session.upstream.recv(DATAGRAM_BYTES_MAX)
            except OSError:
                return
            session.seen = self._loop.time()
            with suppress(OSError):
                self._listeners[frontend].sendto(data, client)

    def _end(self, key: tuple[Frontend, Address]) -> None:
        session = self._sessions.pop(key)
        self._loop.remove_reader(session.upstream)
        session.upstream.close()

    def _end_idle(self) -> None:
        oldest = self._loop.time() - IDLE_SECONDS_MAX
        for key, session in list(self._sessions.items()):
            if session.seen < oldest:
                self._end(key)
        self._sweep = self._loop.call_later(_SWEEP_SECONDS, self._end_idle)
