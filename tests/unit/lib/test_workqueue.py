"""The contract of the work queue, one test per sentence of its module."""

import asyncio

from tiphys.lib.workqueue import WorkQueue


def test_a_key_added_twice_is_handed_out_once() -> None:
    async def story() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        queue.add("b")
        queue.add("a")
        assert [await queue.get(), await queue.get()] == ["a", "b"]
        assert len(queue) == 0

    asyncio.run(story())


def test_a_key_added_while_worked_on_comes_again_after_done() -> None:
    async def story() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        key = await queue.get()
        queue.add("a")
        assert len(queue) == 0
        queue.done(key)
        assert await queue.get() == "a"

    asyncio.run(story())


def test_of_two_delays_the_earlier_counts() -> None:
    async def story() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 60)
        queue.add_after("a", 0.001)
        assert await asyncio.wait_for(queue.get(), 5) == "a"

    asyncio.run(story())


def test_a_waiting_worker_is_woken() -> None:
    async def story() -> None:
        queue: WorkQueue[str] = WorkQueue()
        worker = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.add("a")
        assert await asyncio.wait_for(worker, 5) == "a"

    asyncio.run(story())
