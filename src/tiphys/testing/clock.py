"""Time that a test moves: an event loop whose timers and a Clock that go together.

Flowing, time passes as everywhere, ahead of the machine's by what was advanced. Frozen, it stands
until it is advanced. To advance is to run what is due, timer by timer, each as soon as nothing is
left to do before it: hours take milliseconds, in the same order every time.
Upstream has no such thing; k8s.io/utils/clock/testing moves a clock, not what waits for it.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from tiphys.lib.clock import SystemClock

# Clients outside the process get this long to react before time moves on: a request over loopback
# is there within a millisecond, an interpreter under load needs some more.
PATIENCE_SECONDS: Final = 0.02
MOMENTS_MAX: Final = 10_000_000  # Timers of one advance; more is a loop that never waits.


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time. Use it from its own thread, but for `time`."""

    def __init__(self, *, frozen: bool = True) -> None:
        """The loop begins frozen at 0.0; `flow` lets time pass."""
        self.frozen_at: float | None = 0.0
        self._offset = 0.0
        self._target: float | None = None
        self._reached: asyncio.Future[None] | None = None
        self._idle: list[asyncio.Future[None]] = []
        self._stirred = False
        self._moments = 0
        self.has_outsiders: Callable[[], bool] = lambda: False
        """Whether clients of other processes or threads listen, for whom time must wait."""
        super().__init__(_Selector(self))
        if not frozen:
            self.flow()

    def time(self) -> float:
        if self.frozen_at is not None:
            return self.frozen_at
        return time.monotonic() + self._offset

    def flow(self) -> None:
        """Time passes from now on."""
        self._offset = self.time() - time.monotonic()
        self.frozen_at = None

    def freeze(self) -> None:
        """Time stands from now on."""
        self.frozen_at = self.time()

    async def advance(self, seconds: float) -> None:
        """Run everything that is due within so many seconds. Raises ValueError, RuntimeError."""
        if seconds < 0:
            raise ValueError("time cannot go back")
        if self._target is not None:
            raise RuntimeError("time is being advanced already: one at a time")
        was_flowing = self.frozen_at is None
        self.freeze()
        self._target = self.time() + seconds
        self._moments = 0
        self._reached = self.create_future()
        try:
            await self._reached
        finally:
            self._target = self._reached = None
            if was_flowing:
                self.flow()

    async def settle(self) -> None:
        """Return once nothing is left to do now: every task waits for time or for others."""
        turn: asyncio.Future[None] = self.create_future()
        self._idle.append(turn)
        await turn

    def stir(self) -> None:
        """Something happened that a client outside may want to react to."""
        self._stirred = True

    def wait_seconds(self, timeout: float | None) -> float | None:
        """How long to wait for sockets when no task can run; the timer next due is in timeout."""
        if self._target is not None:
            return PATIENCE_SECONDS if self._stirred and self.has_outsiders() else 0
        if self._idle:
            return 0
        return timeout if self.frozen_at is None else None

    def idle(self, timeout: float | None) -> None:
        """No task can run and no socket is ready: wake who waits for this, or move on."""
        self._stirred = False
        if self._idle:
            turns, self._idle = self._idle, []
            for turn in turns:
                if not turn.done():
                    turn.set_result(None)
        elif self._target is not None and self.frozen_at is not None:
            self._move(self._target, None if timeout is None else self.frozen_at + timeout)

    def _move(self, target: float, due: float | None) -> None:
        self._moments += 1
        if due is not None and due <= target and self._moments <= MOMENTS_MAX:
            self.frozen_at = due
            return
        reached = self._reached
        if reached is None or reached.done():
            return
        if due is not None and due <= target:
            reached.set_exception(
                RuntimeError(f"more than {MOMENTS_MAX} timers: some loop never waits")
            )
        else:
            self.frozen_at = target
            reached.set_result(None)


class _Selector(selectors.BaseSelector):
    """Waits for sockets as the machine's selector does, but for no time that is virtual."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return self._real.select(0)
        ready = self._real.select(self._loop.wait_seconds(timeout))
        if ready:
            self._loop.stir()
        else:
            self._loop.idle(timeout)
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualClock:
    """The Clock of components: the loop's time, and a date for it."""

    def __init__(self, loop: VirtualLoop, start: datetime | None = None) -> None:
        """start: what time it is at the loop's present; the machine's, if not given."""
        self._loop = loop
        self._zero = (start or SystemClock().now()) - timedelta(seconds=loop.time())

    def now(self) -> datetime:
        return self._zero + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
