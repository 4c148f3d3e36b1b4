"""Seats and queues of one level, by a clock in the test's hand."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from tiphys.apiserver.fairness import queue_set
from tiphys.apiserver.fairness.queue_set import QueueSet, Rejected, Seat


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(story: Callable[[QueueSet, Time], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        time = Time()
        async with asyncio.timeout(20):
            await story(QueueSet(time), time)

    asyncio.run(whole())


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def enter(queues: QueueSet, flow: int, width: int = 1) -> "asyncio.Task[Seat]":
    return asyncio.get_running_loop().create_task(queues.enter(flow, width))


def test_without_queues_who_finds_no_seat_is_refused() -> None:
    async def story(queues: QueueSet, time: Time) -> None:
        queues.resize(2)
        seat = await queues.enter(1, 1)
        await queues.enter(2, 1)
        with pytest.raises(Rejected, match="concurrency-limit"):
            await queues.enter(3, 1)
        queues.leave(seat)
        await queues.enter(3, 1)
        assert queues.in_use == 2

    run(story)


def test_a_full_queue_refuses() -> None:
    async def story(queues: QueueSet, time: Time) -> None:
        queues.configure(1, 1, 2)
        first = await queues.enter(1, 1)
        waiting = [enter(queues, 1) for _ in range(2)]
        await turns()
        with pytest.raises(Rejected, match="queue-full"):
            await queues.enter(1, 1)
        queues.leave(first)
        await turns()
        assert [task.done() for task in waiting] == [True, False]
        waiting[1].cancel()
        await turns()
        queues.leave(waiting[0].result())
        assert (queues.in_use, queues.waiting_count, queues._queues) == (0, 0, {})

    run(story)


def test_who_waits_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_set, "WAIT_SECONDS_MAX", 0.01)

    async def story(queues: QueueSet, time: Time) -> None:
        queues.configure(4, 2, 10)
        await queues.enter(1, 1)
        with pytest.raises(Rejected, match="time-out"):
            await queues.enter(2, 1)
        assert queues.waiting_count == 0

    run(story)


def test_flows_take_turns_however_much_one_asks() -> None:
    """A flow with 40 requests and one with 4: the few wait for few."""

    async def story(queues: QueueSet, time: Time) -> None:
        queues.configure(64, 1, 100)
        order: list[str] = []

        async def one(flow: int, name: str) -> None:
            seat = await queues.enter(flow, 1)
            order.append(name)
            time.now += 0.1
            await asyncio.sleep(0)
            queues.leave(seat)

        work: list[Awaitable[None]] = [one(1, "greedy") for _ in range(40)]
        work += [one(2, "modest") for _ in range(4)]
        await asyncio.gather(*work)
        assert [i for i, name in enumerate(order) if name == "modest"][-1] <= 10
        assert len(order) == 44

    run(story)


def test_a_wide_request_is_not_passed_by_for_ever() -> None:
    async def story(queues: QueueSet, time: Time) -> None:
        queues.configure(8, 1, 10)
        queues.resize(4)
        seats = [await queues.enter(1, 1) for _ in range(4)]
        wide = enter(queues, 2, 4)
        await turns()
        time.now += 0.1
        narrow = enter(queues, 3, 1)
        await turns()
        for seat in seats[:3]:
            queues.leave(seat)
        await turns()
        assert not wide.done()
        queues.leave(seats[3])
        await turns()
        assert wide.done()
        assert not narrow.done()
        queues.leave(wide.result())
        await turns()
        assert narrow.done()

    run(story)


def test_more_seats_let_those_in_who_wait() -> None:
    async def story(queues: QueueSet, time: Time) -> None:
        queues.configure(8, 2, 10)
        await queues.enter(1, 1)
        waiting = enter(queues, 2)
        await turns()
        assert queues.take_demand() == 2
        queues.resize(2)
        await turns()
        assert waiting.done()

    run(story)


def test_a_turn_that_comes_with_the_cancellation_is_given_back() -> None:
    async def story(queues: QueueSet, time: Time) -> None:
        queues.configure(8, 2, 10)
        seat = await queues.enter(1, 1)
        waiting = enter(queues, 2)
        await turns()
        queues.leave(seat)
        waiting.cancel()
        await turns()
        assert queues.in_use == 0

    run(story)
