"""Writers of one object take turns, where each would otherwise undo the work of the others.

A write reads the object, changes it and stores it if it is still what was read. Of fifty at once
one succeeds, and forty-nine begin again. Other API servers of the store are not held up by this:
whoever is faster there makes ours begin again, as ever.
"""

import asyncio
from collections import deque


class Turns:
    """By key; who comes first goes first."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def take(self, key: str) -> bool:
        """Whether it is one's turn now; else `wait` for it."""
        if key in self._waiting:
            return False
        self._waiting[key] = deque()
        return True

    async def wait(self, key: str) -> None:
        """Returns when it is one's turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[key].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(key)  # It came together with the end.
            raise

    def give(self, key: str) -> None:
        """Let the next one go on."""
        waiting = self._waiting[key]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[key]
