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
# New objects before the collector looks for cycles among them, for who serves thousands of requests
# a second: with Python's 700 it looked at every tenth write, a twentieth of the time.
YOUNG_OBJECTS: Final = 20_000
# Collections of the middle generation before everything is looked at: what a server keeps has no
# cycles, and looking at all of it every 2,000 writes was a tenth of their time.
MIDDLE_COLLECTIONS: Final = (10, 100)
_M_MMAP_THRESHOLD: Final = -3  # malloc.h
_M_ARENA_MAX: Final = -8
# When memory is given back: after the first lists, after the first pods, then every so often.
SETTLED_SECONDS: Final = (5.0, 10.0, 60.0)


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


def _give_back_later(loop: asyncio.AbstractEventLoop, times: int) -> None:
    def now() -> None:
        give_back_memory()
        _give_back_later(loop, times + 1)

    loop.call_later(SETTLED_SECONDS[min(times, len(SETTLED_SECONDS) - 1)], now)


def keep_big_blocks_apart() -> None:
    """Give each block of 128 KB or more pages of its own, which go back when it is freed.

    uvloop has a buffer of 256 KB for every TLS connection, of which a few KB are used. glibc raises
    its threshold once such a block is freed, and the next ones are cut from the heap, zeroed and
    so resident in whole (mallopt(3), M_MMAP_THRESHOLD). Not for who serves thousands of requests a
    second: each read over TLS takes such a block too, and then asks the kernel for it.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, BIG_BLOCK_BYTES)


def run_until_signalled(work: Coroutine[Any, Any, None], *, is_busy: bool = False) -> int:
    """Run work in a fresh loop; SIGTERM and SIGINT cancel it. Returns the process's exit code.

    is_busy: speed comes before memory.
    """
    import uvloop

    if is_busy:
        gc.set_threshold(YOUNG_OBJECTS, *MIDDLE_COLLECTIONS)
    else:
        keep_big_blocks_apart()

    async def main() -> int:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        _give_back_later(loop, 0)
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
