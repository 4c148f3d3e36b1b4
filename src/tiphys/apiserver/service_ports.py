"""How a write of a Service takes node ports: for good, or for a dry run only to say which.

A dry run takes any number that no Service has, and gives numbers that nobody could get.
Upstream: pkg/registry/core/service/portallocator/operation.go.
"""

from typing import Final, Protocol

from tiphys.apiserver.number_pool import Pool, Reservation

DRY_PORT_FIRST: Final = 32769


class Ports(Protocol):
    """Of one write."""

    def take(self, number: int) -> str:
        """What is wrong with the number, or nothing."""

    def take_any(self) -> int | None:
        """None when there is none left."""


class ReservedPorts:
    """Those of a write that is to happen."""

    def __init__(self, pool: Pool, reserved: Reservation) -> None:
        self._pool = pool
        self._reserved = reserved

    def take(self, number: int) -> str:
        if not self._pool.contains(number):
            first, last = self._pool.bounds
            return f"{_NOT_IN_RANGE} {first}-{last}"
        if not self._pool.reserve(number):
            return _TAKEN
        self._reserved.add(self._pool, number)
        return ""

    def take_any(self) -> int | None:
        number = self._pool.reserve_any()
        if number is not None:
            self._reserved.add(self._pool, number)
        return number


class DryPorts:
    """Those of a dry run, which takes nothing."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._taken: list[int] = []

    def take(self, number: int) -> str:
        if number in self._taken or self._pool.is_held(number):
            return _TAKEN
        self._taken.append(number)
        return ""

    def take_any(self) -> int:
        number = max(self._taken) + 1 if self._taken else DRY_PORT_FIRST
        self._taken.append(number)
        return number


_NOT_IN_RANGE: Final = "provided port is not in the valid range. The range of valid ports is"
_TAKEN: Final = "provided port is already allocated"
