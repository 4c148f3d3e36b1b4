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

BIG_BLOCK_BYTES: Final = 128 * 1024  # glibc's threshold before it moves.
_M_MMAP_THRESHOLD: Final = -3  # malloc.h
SETTLED_SECONDS: Final = 5.0  # By then a component has read its first lists.


def give_back_memory() -> None:
    """Return to the kernel what start-up needed and nobody needs any more (glibc only)."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def keep_big_blocks_apart() -> None:
    """Give each block of 128 KB or more pages of its own, which go back when it is freed.

    uvloop has a buffer of 256 KB for every TLS connection, of which a few KB are used. glibc raises
    its threshold once such a block is freed, and the next ones are cut from the heap, zeroed and
    so resident in whole (mallopt(3), M_MMAP_THRESHOLD).
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, BIG_BLOCK_BYTES)


def run_until_signalled(work: Coroutine[Any, Any, None]) -> int:
    """Run work in a fresh loop; SIGTERM and SIGINT cancel it. Returns the process's exit code."""
    import uvloop

    keep_big_blocks_apart()

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
