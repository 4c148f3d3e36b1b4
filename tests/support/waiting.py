"""Wait for a condition, never for a time."""

import asyncio
from collections.abc import Awaitable, Callable

SECONDS_MAX = 60.0
STEP_SECONDS = 0.02


async def until(
    condition: Callable[[], bool | Awaitable[bool]], seconds: float = SECONDS_MAX
) -> None:
    """Return once the condition holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        for _ in range(int(seconds / STEP_SECONDS)):
            met = condition()
            if met if isinstance(met, bool) else await met:
                return
            await asyncio.sleep(STEP_SECONDS)
    raise TimeoutError(f"not in {seconds} s")
