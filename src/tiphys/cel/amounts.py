"""Ranges of sizes and costs, with the arithmetic of estimates: what is too much stays too much.

Upstream: cel-go checker/cost.go (SizeEstimate, CostEstimate).
"""

import math
from typing import Final, NamedTuple

AMOUNT_MAX: Final = 2**64 - 1


class Amount(NamedTuple):
    """Between two numbers, inclusive."""

    low: int
    high: int

    def plus(self, other: "Amount") -> "Amount":
        return Amount(_capped(self.low + other.low), _capped(self.high + other.high))

    def times(self, other: "Amount") -> "Amount":
        return Amount(_capped(self.low * other.low), _capped(self.high * other.high))

    def scaled(self, factor: float) -> "Amount":
        """Each end rounded up."""
        return Amount(_scaled(self.low, factor), _scaled(self.high, factor))

    def or_else(self, other: "Amount") -> "Amount":
        """Either of them."""
        return Amount(min(self.low, other.low), max(self.high, other.high))


def _capped(value: int) -> int:
    return min(value, AMOUNT_MAX)


def _scaled(value: int, factor: float) -> int:
    scaled = float(value) * factor
    return AMOUNT_MAX if scaled >= AMOUNT_MAX else math.ceil(scaled)


def exactly(value: int) -> Amount:
    return Amount(value, value)


NOTHING: Final = exactly(0)
ONE: Final = exactly(1)
UNKNOWN: Final = Amount(0, AMOUNT_MAX)
"""A size that nobody knows."""
