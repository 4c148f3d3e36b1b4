"""Tasks that somebody holds: named, awaited, errors logged, cancelled with their owner."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from tiphys.lib.backoff import Backoff

log = logging.getLogger(__name__)

RESTART_SECONDS_MAX: Final = 30.0  # Longest pause before a failed loop is tried again.
# A loop that ran this long starts its back-off anew. Upstream: kubelet's containers, after twice
# their longest back-off (client-go util/flowcontrol/backoff.go).
STEADY_SECONDS: Final = 600.0


class TaskSet:
    """Background tasks of one owner. `close` cancels and awaits them all."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run work in the background; an error is logged with the task's name."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", exc_info=error, extra={"task": task.get_name()})

    async def close(self) -> None:
        tasks = [t for t in self._tasks if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._tasks)


async def keep_running(
    name: str,
    work: Callable[[], Awaitable[None]],
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Run work for ever: when it raises, log, wait with back-off and start it again.

    monotonic: seconds that only grow.
    """
    backoff = Backoff(initial_seconds=0.1, max_seconds=RESTART_SECONDS_MAX)
    while True:
        began = monotonic()
        try:
            await work()
            return
        except Exception:  # the supervisor of a loop
            if monotonic() - began >= STEADY_SECONDS:
                backoff.forget(name)
            delay = backoff.next_seconds(name)
            log.exception("loop failed, starting again", extra={"loop": name, "in_seconds": delay})
            await asyncio.sleep(delay)
