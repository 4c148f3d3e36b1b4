"""Bodies with as many items as fit a request, and what rules about them cost."""

import time
from collections.abc import Callable
from typing import Final

MANY: Final = 20_000  # Items that a body of 3 MB may well have.


def seconds_of(work: Callable[[], object]) -> float:
    """Of CPU."""
    begun = time.process_time()
    work()
    return time.process_time() - begun
