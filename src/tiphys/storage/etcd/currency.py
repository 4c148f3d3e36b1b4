"""How far the store is, asked once for all who wait to know.

An answer counts only for those who asked before the question was sent: who comes while one is
under way shares the next one. Upstream: apiserver pkg/storage/cacher (consistent reads, KEP-2340).
"""

import asyncio
from collections.abc import Awaitable, Callable

from tiphys.lib.tasks import TaskSet
from tiphys.storage.backend import StorageError


class Currency:
    """Coalesces `ask`, a linearizable question."""

    def __init__(self, ask: Callable[[], Awaitable[int]]) -> None:
        self._ask = ask
        self._next: asyncio.Future[int] | None = None
        self._is_asking = False
        self._tasks = TaskSet()

    async def get(self) -> int:
        """Raises StorageError."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        turn = self._next
        if not self._is_asking:
            self._is_asking = True
            self._tasks.start(self._answer(), "store revision")
        return await asyncio.shield(turn)

    async def _answer(self) -> None:
        try:
            while (turn := self._next) is not None:
                self._next = None
                try:
                    turn.set_result(await self._ask())
                except StorageError as error:
                    turn.set_exception(error)
                    turn.exception()  # Those who waited may all have left.
        finally:
            self._is_asking = False

    async def close(self) -> None:
        await self._tasks.close()
