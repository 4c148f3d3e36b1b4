"""One priority level at work: seats, and queues of requests that wait for one.

Queues take turns by virtual time: each is charged for the seat-seconds of its requests, and who was
charged least goes next. A guess is charged when a request begins and put right when it ends.
Upstream: apiserver pkg/util/flowcontrol/fairqueuing/queueset; KEP-1040.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from tiphys.apiserver.fairness.shuffle_sharding import hand_of

WAIT_SECONDS_MAX: Final = 15.0  # A quarter of --request-timeout; filters/priority-and-fairness.go
GUESSED_SECONDS: Final = 0.003  # estimatedServiceDuration in queueset.go
HANDS_MAX: Final = 4096  # Hands remembered.

QUEUE_FULL: Final = "queue-full"
TIME_OUT: Final = "time-out"
NO_SEAT: Final = "concurrency-limit"


class Rejected(Exception):
    """No seat: the reason is one of the above."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Queue:
    __slots__ = ("running", "start", "waiting", "work")

    def __init__(self, start: float) -> None:
        self.start = start  # The virtual time at which its next request begins.
        self.waiting: deque[_Waiting] = deque()
        self.running = 0
        self.work = 0  # Seats that its requests have or wait for.


class _Waiting:
    __slots__ = ("turn", "width")

    def __init__(self, width: int, turn: "asyncio.Future[Seat]") -> None:
        self.width = width
        self.turn = turn


class Seat:
    """Given by `enter`, given back by `leave`."""

    __slots__ = ("began", "index", "width")

    def __init__(self, index: int, width: int, began: float) -> None:
        self.index = index
        self.width = width
        self.began = began


class QueueSet:
    """monotonic: seconds that only grow."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.seats = 1
        self.in_use = 0
        self.waiting_seats = 0
        self.waiting_count = 0
        self.demand = 0  # Most seats in use and waited for since somebody asked.
        self._monotonic = monotonic
        self._queue_count = self._hand_size = self._length = 0
        self._queues: dict[int, _Queue] = {}  # Those with requests; others are all alike.
        self._hands: dict[int, list[int]] = {}
        self._virtual = 0.0
        self._at = monotonic()

    def configure(self, queues: int, hand_size: int, length: int) -> None:
        """Without queues who finds no seat is refused. Who waits already goes on waiting."""
        if (queues, hand_size) != (self._queue_count, self._hand_size):
            self._hands.clear()
        self._queue_count, self._hand_size, self._length = queues, hand_size, length

    def resize(self, seats: int) -> None:
        self.seats = seats
        self._dispatch()

    def take_demand(self) -> int:
        """The demand since the last call."""
        found, self.demand = self.demand, self.in_use + self.waiting_seats
        return found

    async def enter(self, flow: int, width: int) -> Seat:
        """Wait for a seat; width is how many the request needs. Raises Rejected."""
        self._advance()
        fits = self._fits(width)
        if not self._queue_count:
            self._note_demand(width)
            if not fits:
                raise Rejected(NO_SEAT)
            return self._seat(0, width)
        index = self._shortest(flow)
        queue = self._queues.get(index)
        if queue is not None and len(queue.waiting) >= self._length:
            raise Rejected(QUEUE_FULL)
        if queue is None:
            queue = self._queues[index] = _Queue(self._virtual)
        self._note_demand(width)
        if fits and not self.waiting_count:
            return self._begin(index, queue, width)
        return await self._wait(index, queue, width)

    def leave(self, seat: Seat) -> None:
        """The request is done: others may have its seats."""
        self._advance()
        self.in_use -= seat.width
        queue = self._queues.get(seat.index)
        if queue is not None:
            took = self._monotonic() - seat.began
            queue.start += (took - GUESSED_SECONDS) * seat.width
            queue.running -= 1
            queue.work -= seat.width
            self._drop_if_idle(seat.index, queue)
        self._dispatch()

    async def _wait(self, index: int, queue: _Queue, width: int) -> Seat:
        waiting = _Waiting(width, asyncio.get_running_loop().create_future())
        queue.waiting.append(waiting)
        queue.work += width
        self.waiting_count += 1
        self.waiting_seats += width
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                return await waiting.turn
        except BaseException as error:
            self._give_up(index, queue, waiting)
            if isinstance(error, TimeoutError):
                raise Rejected(TIME_OUT) from None
            raise

    def _give_up(self, index: int, queue: _Queue, waiting: _Waiting) -> None:
        if waiting in queue.waiting:
            queue.waiting.remove(waiting)
            queue.work -= waiting.width
            self._not_waiting(waiting)
            self._drop_if_idle(index, queue)
            self._dispatch()  # It may have been the one that needed more seats than there were.
        elif waiting.turn.done() and not waiting.turn.cancelled():
            self.leave(waiting.turn.result())  # Its turn came together with its end.

    def _dispatch(self) -> None:
        """Begin what has a seat now, in the order of virtual time."""
        while self.waiting_count:
            index, queue = min(
                ((i, q) for i, q in self._queues.items() if q.waiting),
                key=lambda entry: entry[1].start + GUESSED_SECONDS * entry[1].waiting[0].width,
            )
            first = queue.waiting[0]
            if not self._fits(first.width):
                return
            queue.waiting.popleft()
            queue.work -= first.width
            self._not_waiting(first)
            if first.turn.done():  # Cancelled in this same moment.
                self._drop_if_idle(index, queue)
                continue
            first.turn.set_result(self._begin(index, queue, first.width))

    def _begin(self, index: int, queue: _Queue, width: int) -> Seat:
        queue.start += GUESSED_SECONDS * width
        queue.running += 1
        queue.work += width
        return self._seat(index, width)

    def _seat(self, index: int, width: int) -> Seat:
        self.in_use += width
        return Seat(index, width, self._monotonic())

    def _fits(self, width: int) -> bool:
        """A request that needs more than all seats gets them when nobody has any."""
        return self.in_use + width <= self.seats or not self.in_use

    def _shortest(self, flow: int) -> int:
        hand = self._hands.get(flow)
        if hand is None:
            hand = hand_of(flow, self._queue_count, self._hand_size)
            if len(self._hands) >= HANDS_MAX:
                self._hands.clear()
            self._hands[flow] = hand
        queues = self._queues
        return min(hand, key=lambda index: queues[index].work if index in queues else 0)

    def _advance(self) -> None:
        """Virtual time goes as fast as seats are worked on, shared by the queues that have work."""
        now = self._monotonic()
        if self._queues:
            busy = min(self.seats, self.in_use + self.waiting_seats)
            self._virtual += (now - self._at) * busy / len(self._queues)
        self._at = now

    def _note_demand(self, width: int) -> None:
        self.demand = max(self.demand, self.in_use + self.waiting_seats + width)

    def _not_waiting(self, waiting: _Waiting) -> None:
        self.waiting_count -= 1
        self.waiting_seats -= waiting.width

    def _drop_if_idle(self, index: int, queue: _Queue) -> None:
        if not queue.running and not queue.waiting and self._queues.get(index) is queue:
            del self._queues[index]
