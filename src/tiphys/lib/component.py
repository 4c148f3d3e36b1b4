"""Running a component: an event loop, SIGTERM as cancellation, exit codes.

A component is `async def run(config)`, which works until cancelled.
"""

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


def run_until_signalled(work: Coroutine[Any, Any, None]) -> int:
    """Run work in a fresh loop; SIGTERM and SIGINT cancel it. Returns the process's exit code."""
    import uvloop

    async def main() -> int:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
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
