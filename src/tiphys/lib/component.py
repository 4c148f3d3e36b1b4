"""Running a component: an event loop, SIGTERM as cancellation, exit codes.

A component is `async def run(config)`, which works until cancelled.
"""

import asyncio
import ctypes
import gc
import logging
import signal
from collections.abc import Coroutine
from typing import Any, Final

log = logging.getLogger(__name__)

_M_ARENA_MAX: Final = -8  # malloc.h
SETTLED_SECONDS: Final = 5.0  # By then a component has read its first lists.


def share_one_arena() -> None:
    """Threads allocate where the main one does (glibc only): a heap of their own costs megabytes.

    Inherited by forked processes. Source: mallopt(3), M_ARENA_MAX.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)


def give_back_memory() -> None:
    """Return to the kernel what start-up needed and nobody needs any more (glibc only)."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def run_until_signalled(work: Coroutine[Any, Any, None]) -> int:
    """Run work in a fresh loop; SIGTERM and SIGINT cancel it. Returns the process's exit code."""
    import uvloop

    async def main() -> int:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        loop.call_later(SETTLED_SECONDS, give_back_memory)
        try:
            await work
        except asyncio.CancelledError:
            return 0
        except Exception:  # the supervisor of a component: the next line is its last word
            log.exception("component failed")
            return 1
        return 0

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())
