"""Who waits until a revision has arrived."""

import asyncio


class Arrivals:
    """Futures by the revision they wait for. `arrived` wakes those whose turn it is."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    async def wait(self, revision: int) -> None:
        """Until `arrived` is told this revision or a later one; raises what `fail` is told."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((revision, turn))
        await turn

    def arrived(self, revision: int) -> None:
        due = [w for w in self._waiting if w[0] <= revision]
        self._waiting = [w for w in self._waiting if w[0] > revision]
        for _, turn in due:
            if not turn.done():
                turn.set_result(None)

    def fail(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, []
        for _, turn in waiting:
            if not turn.done():
                turn.set_exception(error)
