"""An event loop of 60 lines: asyncio would cost every shim a megabyte."""

import heapq
import itertools
import select
import sys
import time
from collections.abc import Callable
from typing import Final

READ: Final = select.EPOLLIN
WRITE: Final = select.EPOLLOUT
HANG_UP: Final = select.EPOLLHUP | select.EPOLLERR


class Loop:
    """Callbacks for descriptors and for moments; `stop` ends `run`."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._stopped = False

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Call callback(events) when fd is ready; replaces an earlier watch of fd."""
        if fd in self._callbacks:
            self._poll.modify(fd, events)
        else:
            self._poll.register(fd, events)
        self._callbacks[fd] = callback

    def forget(self, fd: int) -> None:
        if self._callbacks.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), callback))

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> None:
        while not self._stopped:
            timeout = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else -1
            for fd, events in self._poll.poll(timeout):
                callback = self._callbacks.get(fd)
                if callback is not None:
                    _guarded(callback, events)
            while self._timers and self._timers[0][0] <= time.monotonic():
                _guarded(heapq.heappop(self._timers)[2])


def _guarded(callback: Callable[..., None], *args: int) -> None:
    """One callback's error must not end the parent of a pod's containers: it is written down."""
    try:
        callback(*args)
    except Exception:  # noqa: BLE001  # The supervisor of the loop; see above.
        import traceback  # Rarely needed, and large.

        sys.stderr.write(traceback.format_exc())
        sys.stderr.flush()
