"""One question for all who wait; never an answer from before the question."""

import asyncio

import pytest

from tiphys.storage.backend import StorageError
from tiphys.storage.etcd.currency import Currency


class Store:
    """Answers when told to, with how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers: list[asyncio.Future[None]] = []

    async def ask(self) -> int:
        self.asked += 1
        mine = self.asked
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        await answer
        return mine


def test_who_comes_while_a_question_is_under_way_shares_the_next() -> None:
    async def story() -> None:
        store = Store()
        currency = Currency(store.ask)
        first = [asyncio.create_task(currency.get()) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert store.asked == 1
        later = [asyncio.create_task(currency.get()) for _ in range(3)]
        await asyncio.sleep(0)
        assert store.asked == 1
        store.answers[0].set_result(None)
        assert await asyncio.gather(*first) == [1, 1, 1]
        assert store.asked == 2
        store.answers[1].set_result(None)
        assert await asyncio.gather(*later) == [2, 2, 2]

    asyncio.run(story())


def test_an_error_is_for_those_who_asked_and_the_next_may_succeed() -> None:
    async def story() -> None:
        store = Store()
        currency = Currency(store.ask)
        failing = asyncio.create_task(currency.get())
        left = asyncio.create_task(currency.get())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        left.cancel()
        store.answers[0].set_exception(StorageError("silent"))
        with pytest.raises(StorageError, match="silent"):
            await failing
        again = asyncio.create_task(currency.get())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        store.answers[1].set_result(None)
        assert await again == 2
        await currency.close()

    asyncio.run(story())
