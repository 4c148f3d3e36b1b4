"""Numbers that are given out: those in use, and those reserved for writes under way.

Upstream: pkg/registry/core/service/allocator.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self

from tiphys.storage.store import CATCH_UP_SECONDS_MAX

RANDOM_TRIES_MAX: Final = 64  # Then the range is searched in order.


class Numbers:
    """What is in use and what is reserved; ranges that overlap share it."""

    def __init__(self) -> None:
        self.held: Counter[int] = Counter()  # More than once only if the store was edited by hand.
        self.reserved: set[int] = set()

    def hold(self, numbers: Iterable[int]) -> None:
        self.held.update(numbers)

    def drop(self, numbers: Iterable[int]) -> None:
        self.held.subtract(numbers)
        self.held = +self.held


class Pool:
    """A range of numbers: those that Services hold, and those reserved for writes under way."""

    def __init__(
        self, first: int, last: int, low_band: int, rng: random.Random, numbers: Numbers
    ) -> None:
        self._first = first
        self._last = last
        self._low_band = low_band
        self._rng = rng
        self._numbers = numbers

    def reserve(self, number: int) -> bool:
        """False when it is in use or out of range."""
        taken = self._numbers
        if not self.contains(number) or number in taken.reserved or taken.held[number]:
            return False
        taken.reserved.add(number)
        return True

    def reserve_any(self) -> int | None:
        """A free number, the upper band first; None when the range is full."""
        upper = min(self._first + self._low_band, self._last)
        for _ in range(RANDOM_TRIES_MAX):
            number: int = self._rng.randint(upper, self._last)
            if self.reserve(number):
                return number
        for number in (*range(upper, self._last + 1), *range(self._first, upper)):
            if self.reserve(number):
                return number
        return None

    def contains(self, number: int) -> bool:
        return self._first <= number <= self._last

    def unreserve(self, number: int) -> None:
        self._numbers.reserved.discard(number)

    def is_held(self, number: int) -> bool:
        """Whether a Service has it."""
        return self._numbers.held[number] > 0

    @property
    def reserved_count(self) -> int:
        return len(self._numbers.reserved)

    @property
    def bounds(self) -> tuple[int, int]:
        return self._first, self._last


class Reservation:
    """What a write under way was given; as a context it lasts as long as the write.

    A cancelled write may still be committed: its numbers stay reserved until that can no longer be.
    """

    __slots__ = ("_on_release", "numbers")

    def __init__(self) -> None:
        self.numbers: list[tuple[Pool, int]] = []
        self._on_release: list[Callable[[], None]] = []

    def add(self, pool: Pool, number: int) -> None:
        self.numbers.append((pool, number))

    def on_release(self, work: Callable[[], None]) -> None:
        """Also do this when the numbers are let go."""
        self._on_release.append(work)

    def leave(self, pool: Pool, number: int) -> None:
        """Let it stay reserved when the rest is released."""
        self.numbers = [n for n in self.numbers if n != (pool, number)]

    def release(self) -> None:
        for pool, number in self.numbers:
            pool.unreserve(number)
        for work in self._on_release:
            work()
        self.numbers.clear()
        self._on_release.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.numbers and isinstance(error, asyncio.CancelledError):
            asyncio.get_running_loop().call_later(CATCH_UP_SECONDS_MAX, self.release)
        else:
            self.release()
