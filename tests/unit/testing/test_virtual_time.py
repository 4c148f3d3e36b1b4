"""Timers of the loop and the clock move together, in order, as fast as they can."""

import asyncio
import socket
import threading
import time
from datetime import UTC, datetime

import pytest

from tiphys.testing.clock import VirtualClock, VirtualLoop
from tiphys.testing.spans import seconds_of


def test_what_is_due_happens_in_order_and_at_its_time() -> None:
    loop = VirtualLoop()
    clock = VirtualClock(loop, datetime(2026, 1, 1, tzinfo=UTC))
    seen: list[tuple[str, float]] = []

    async def every(name: str, seconds: float) -> None:
        while True:
            await clock.sleep(seconds)
            seen.append((name, loop.time()))

    async def story() -> None:
        tasks = [loop.create_task(every("a", 2)), loop.create_task(every("b", 3))]
        await loop.advance(6)
        for task in tasks:
            task.cancel()

    began = time.monotonic()
    loop.run_until_complete(story())
    assert sorted(seen, key=lambda s: s[1]) == seen
    assert sorted(seen) == [("a", 2), ("a", 4), ("a", 6), ("b", 3), ("b", 6)]
    assert clock.now() == datetime(2026, 1, 1, 0, 0, 6, tzinfo=UTC)
    assert time.monotonic() - began < 3
    loop.close()


def test_frozen_time_stands() -> None:
    loop = VirtualLoop()
    fired: list[float] = []

    async def story() -> None:
        loop.call_later(0.001, lambda: fired.append(loop.time()))
        await loop.run_in_executor(None, time.sleep, 0.05)
        assert fired == []
        await loop.advance(0.5)
        assert fired == [0.001]
        assert loop.time() == 0.5

    loop.run_until_complete(story())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_flowing_time_goes_on_from_what_was_advanced() -> None:
    loop = VirtualLoop(frozen=False)

    async def story() -> None:
        await loop.advance(3600)
        assert 3600 <= loop.time() < 3610
        before = loop.time()
        await asyncio.sleep(0.01)
        assert loop.time() >= before + 0.009

    loop.run_until_complete(story())
    loop.close()


def test_sockets_are_served_while_time_stands() -> None:
    loop = VirtualLoop()
    near, far = socket.socketpair()
    near.setblocking(False)

    async def story() -> bytes:
        threading.Timer(0.02, far.send, (b"x",)).start()
        return await loop.sock_recv(near, 1)

    assert loop.run_until_complete(story()) == b"x"
    near.close()
    far.close()
    loop.close()


def test_settled_means_that_no_task_can_run() -> None:
    loop = VirtualLoop()
    done: list[int] = []

    async def work() -> None:
        for number in range(100):
            await asyncio.sleep(0)
            done.append(number)

    async def story() -> None:
        task = loop.create_task(work())
        await loop.settle()
        assert len(done) == 100
        await task

    loop.run_until_complete(story())
    loop.close()


def test_time_does_not_go_back() -> None:
    loop = VirtualLoop()
    with pytest.raises(ValueError, match="time cannot go back"):
        loop.run_until_complete(loop.advance(-1))
    loop.close()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1h30m", 5400), ("2d", 172_800), ("250ms", 0.25), (4, 4), ("1.5m", 90)],
)
def test_spans(text: str | float, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "1 h", "h1", "10 minutes"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(ValueError, match="is no span of time"):
        seconds_of(text)
