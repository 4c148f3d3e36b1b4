"""Priority levels: how many seats each has of all, and how many it lends and borrows. Pure.

Upstream: apiserver pkg/util/flowcontrol/apf_controller.go, fairness.go (KEP-1040, borrowing).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tiphys.api.meta import Obj


@dataclass(frozen=True, slots=True)
class PriorityLevel:
    """A PriorityLevelConfiguration. Without queues a request that finds no seat is refused."""

    name: str
    uid: str
    is_exempt: bool
    shares: int
    lendable_percent: int
    borrowing_percent: int | None  # None: as much as there is.
    queues: int = 0
    hand_size: int = 0
    queue_length: int = 0


def compile_level(obj: Obj) -> PriorityLevel:
    spec = obj["spec"]
    is_exempt = spec.get("type") == "Exempt"
    limits = spec.get("exempt" if is_exempt else "limited") or {}
    queuing = (limits.get("limitResponse") or {}).get("queuing") or {}
    return PriorityLevel(
        obj["metadata"]["name"],
        obj["metadata"].get("uid", ""),
        is_exempt,
        limits.get("nominalConcurrencyShares") or 0,
        limits.get("lendablePercent") or 0,
        limits.get("borrowingLimitPercent"),
        queuing.get("queues", 0),
        queuing.get("handSize", 0),
        queuing.get("queueLengthLimit", 0),
    )


class Bounds(NamedTuple):
    """Seats of a level: what it is due, what it keeps, what it can have at most."""

    nominal: int
    least: int
    most: int


def bounds_of(levels: Sequence[PriorityLevel], seats: int) -> dict[str, Bounds]:
    """By name, of all levels, when the server has this many seats."""
    shares = sum(level.shares for level in levels)
    found: dict[str, Bounds] = {}
    for level in levels:
        nominal = math.ceil(seats * level.shares / shares) if shares else 0
        lendable = round(nominal * level.lendable_percent / 100)
        borrowing = level.borrowing_percent
        most = seats if borrowing is None else nominal + round(nominal * borrowing / 100)
        found[level.name] = Bounds(nominal, nominal - lendable, max(most, nominal))
    return found


def divide(bounds: Mapping[str, Bounds], demand: Mapping[str, int], seats: int) -> dict[str, int]:
    """Seats for each level now. Where all want more than there is, in proportion to what they want.

    Who wants less than is its due lends what it may; every level keeps its least.
    """
    wanted = {name: max(b.least, demand.get(name, 0), 1) for name, b in bounds.items()}

    def given(factor: float) -> dict[str, float]:
        return {
            name: min(max(wanted[name] * factor, b.least), b.most) for name, b in bounds.items()
        }

    low, high = 0.0, 1.0
    if sum(given(1.0).values()) < seats:
        while sum(given(high).values()) < seats and high < seats:
            high *= 2
    for _ in range(40):  # Bisection: far finer than one seat.
        middle = (low + high) / 2
        if sum(given(middle).values()) > seats:
            high = middle
        else:
            low = middle
    return {name: max(round(value), 1) for name, value in given(low).items()}
