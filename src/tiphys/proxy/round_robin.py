"""Whose turn it is: each endpoint of a frontend once, then again from the first. No I/O.

Upstream: pkg/proxy/userspace/roundrobin.go (up to v1.25).
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, NamedTuple

from tiphys.proxy.plan import Backend, Frontend, Target

CLIENTS_MAX: Final = 65536  # Remembered by affinity in all; the one not seen for longest goes.


class _Client(NamedTuple):
    frontend: Frontend
    address: str


@dataclass(frozen=True, slots=True)
class _Stay:
    target: Target
    seen: float  # seconds


class RoundRobin:
    """`pick` for each new connection, in the order of their coming."""

    def __init__(self) -> None:
        self._turns: dict[tuple[Frontend, bool], int] = {}
        self._stays: OrderedDict[_Client, _Stay] = OrderedDict()

    def pick(
        self, frontend: Frontend, backend: Backend, client: str, *, near: bool, now: float
    ) -> Target | None:
        """The endpoint for a client's new connection; None without any.

        near: the client is a pod or this node. now: seconds of any monotonic clock.
        """
        near = near and backend.near is not None
        targets = (backend.near or ()) if near else backend.targets
        if not targets:
            return None
        who = _Client(frontend, client)
        stay = self._stays.get(who) if backend.sticky_seconds else None
        if stay and stay.target in targets and now - stay.seen < backend.sticky_seconds:
            self._stay(who, stay.target, now)
            return stay.target
        turn = self._turns.get((frontend, near), 0) % len(targets)
        self._turns[(frontend, near)] = turn + 1
        if backend.sticky_seconds:
            self._stay(who, targets[turn], now)
        return targets[turn]

    def leave(self, frontend: Frontend, client: str) -> None:
        """A client's endpoint did not answer: it may go to another."""
        self._stays.pop(_Client(frontend, client), None)

    def forget(self, frontend: Frontend) -> None:
        """The frontend is gone."""
        for near in (False, True):
            self._turns.pop((frontend, near), None)

    def _stay(self, who: _Client, target: Target, now: float) -> None:
        self._stays[who] = _Stay(target, now)
        self._stays.move_to_end(who)
        if len(self._stays) > CLIENTS_MAX:
            self._stays.popitem(last=False)
