"""Order, back-off and what wakes a pod that did not fit."""

import asyncio
from datetime import UTC, datetime

from tiphys.api.meta import ObjectKey, name_of
from tiphys.lib.clock import FakeClock
from tiphys.scheduler.framework import NODE_ADD, POD_DELETE
from tiphys.scheduler.queue import SchedulingQueue
from unit.controllers.builders import a_pod


def a_queue() -> tuple[SchedulingQueue, FakeClock]:
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    return SchedulingQueue(clock, initial_seconds=1, max_seconds=10), clock


async def is_empty(queue: SchedulingQueue) -> bool:
    try:
        async with asyncio.timeout(0.01):
            await queue.get()
    except TimeoutError:
        return True
    return False


def test_priority_comes_before_age() -> None:
    async def story() -> None:
        queue, _ = a_queue()
        queue.add(a_pod("old"))
        queue.add(a_pod("important", priority=10))
        assert [name_of((await queue.get()).pod) for _ in range(2)] == ["important", "old"]

    asyncio.run(story())


def test_a_rejected_pod_waits_for_an_event_that_helps_and_for_its_back_off() -> None:
    async def story() -> None:
        queue, clock = a_queue()
        queue.add(a_pod("a"))
        queue.reject(await queue.get(), frozenset({NODE_ADD}))
        queue.move(POD_DELETE)
        clock.advance(5)
        assert await is_empty(queue), "the wrong event"
        queue.move(NODE_ADD)
        waiting = await queue.get()
        assert waiting.attempts == 2
        queue.reject(waiting, frozenset({NODE_ADD}))
        queue.move(NODE_ADD)
        assert await is_empty(queue), "the back-off is two seconds now"
        clock.advance(2)
        assert (await queue.get()).attempts == 3

    asyncio.run(story())


def test_an_event_during_the_attempt_is_not_missed() -> None:
    async def story() -> None:
        queue, clock = a_queue()
        queue.add(a_pod("a"))
        waiting = await queue.get()
        queue.move(NODE_ADD)
        queue.reject(waiting, frozenset({NODE_ADD}))
        clock.advance(1)
        assert (await queue.get()).attempts == 2

    asyncio.run(story())


def test_a_removed_pod_is_not_handed_out() -> None:
    async def story() -> None:
        queue, _ = a_queue()
        queue.add(a_pod("a"))
        queue.remove(ObjectKey("default", "a"))
        assert await is_empty(queue)

    asyncio.run(story())


def test_gated_pods_wait_until_the_gate_is_gone() -> None:
    async def story() -> None:
        queue, _ = a_queue()
        queue.add(a_pod("a", schedulingGates=[{"name": "g"}]), gated=True)
        assert await is_empty(queue)
        queue.add(a_pod("a"), gated=False)
        assert name_of((await queue.get()).pod) == "a"

    asyncio.run(story())


def test_nothing_waits_for_ever() -> None:
    async def story() -> None:
        queue, clock = a_queue()
        queue.add(a_pod("a"))
        queue.reject(await queue.get(), frozenset({NODE_ADD}))
        clock.advance(301)
        queue.flush()
        assert (await queue.get()).attempts == 2

    asyncio.run(story())
