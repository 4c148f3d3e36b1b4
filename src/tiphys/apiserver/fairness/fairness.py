"""Holds the levels at work: classifies requests, seats those that have to wait for something.

A request that is answered at once needs no seat: the server does nothing else meanwhile.
Upstream: apiserver pkg/server/filters/priority-and-fairness.go, pkg/util/flowcontrol.
"""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Final

from tiphys.api.meta import Obj
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.fairness.bootstrap_objects import CATCH_ALL, flow_schemas, priority_levels
from tiphys.apiserver.fairness.flow_schema import FlowSchema, compile_schema, in_order
from tiphys.apiserver.fairness.metrics import FlowCounts, FlowMetrics
from tiphys.apiserver.fairness.priority_level import (
    Bounds,
    PriorityLevel,
    bounds_of,
    compile_level,
    divide,
)
from tiphys.apiserver.fairness.queue_set import QueueSet, Rejected
from tiphys.apiserver.fairness.shuffle_sharding import flow_hash
from tiphys.apiserver.fairness.work_estimate import seats_of
from tiphys.apiserver.filters.authorization import Attributes
from tiphys.apiserver.user import User
from tiphys.lib.clock import Clock
from tiphys.lib.http.message import Answer, Headers, Response
from tiphys.storage.backend import Event

log = logging.getLogger(__name__)

GROUP: Final = "flowcontrol.apiserver.k8s.io"
PREFIX: Final = f"/registry/{GROUP}/"
BORROW_SECONDS: Final = 10.0  # borrowingAdjustmentPeriod in apf_controller.go
USERS_MAX: Final = 4096  # Users whose schemas are remembered.
HASHES_MAX: Final = 4096  # Flows whose hashes are.
RETRY_HEADERS: Final[Headers] = (
    ("Content-Type", "text/plain; charset=utf-8"),
    ("X-Content-Type-Options", "nosniff"),
    ("Retry-After", "1"),
)
RETRY_TEXT: Final = b"Too many requests, please try again later.\n"


class Level:
    """A priority level and its queues."""

    __slots__ = ("bounds", "queues", "spec")

    def __init__(self, spec: PriorityLevel, queues: QueueSet) -> None:
        self.spec = spec
        self.queues = queues
        self.bounds = Bounds(1, 1, 1)


class Flow:
    """What a request belongs to. `lines` are the headers that say so."""

    __slots__ = ("counts", "hash", "is_exempt", "level", "lines")

    def __init__(self, level: Level, number: int, lines: bytes, counts: FlowCounts) -> None:
        self.level = level
        self.is_exempt = level.spec.is_exempt
        self.hash = number
        self.lines = lines
        self.counts = counts


class Fairness:
    """`generation` grows when the answers of `flow_of` may have changed."""

    def __init__(self, schemas: Endpoint, levels: Endpoint, clock: Clock, seats: int) -> None:
        """seats: of the whole server. Upstream: --max-requests-inflight and its sister, added."""
        self.generation = 0
        self.metrics = FlowMetrics()
        self.levels: dict[str, Level] = {}
        self._schema_objects, self._level_objects = schemas, levels
        self._clock = clock
        self._seats = seats
        self._schemas: list[FlowSchema] = []
        self._of_user: dict[User, list[FlowSchema]] = {}
        self._hashes: dict[tuple[str, str], int] = {}
        self._is_stale = True
        self._borrow: asyncio.TimerHandle | None = None

    def notice(self, events: Sequence[Event]) -> None:
        """Called with every committed batch."""
        if any(event.key.startswith(PREFIX) for event in events):
            self.refresh()

    def refresh(self) -> None:
        """The configuration is to be read anew, when the next request comes."""
        self.generation += 1
        self._is_stale = True

    def flow_of(self, user: User, asked: Attributes) -> Flow:
        """The flow of a request: the first schema that names it. There always is one."""
        if self._is_stale:
            self._read()
        schema = next((s for s in self._schemas_of(user) if s.names(asked)), self._schemas[-1])
        level = self.levels[schema.level]
        lines = (
            f"X-Kubernetes-Pf-Flowschema-Uid: {schema.uid}\r\n"
            f"X-Kubernetes-Pf-Prioritylevel-Uid: {level.spec.uid}\r\n"
        )
        number = self._hash(schema.name, schema.flow_of(user, asked))
        counts = self.metrics.counts_of(schema.name, level.spec.name)
        return Flow(level, number, lines.encode(), counts)

    async def seated(self, flow: Flow, verb: str, objects: int, work: Awaitable[Answer]) -> Answer:
        """Do the work on seats of the flow's level, which has some, or answer 429."""
        queues, counts = flow.level.queues, flow.counts
        width = seats_of(verb, objects, queues.seats)
        began = self._clock.monotonic()
        if queues.in_use + width > queues.seats and self._borrow is None:
            self._share_out()
        counts.waiting += 1
        try:
            seat = await queues.enter(flow.hash, width)
        except Rejected as error:
            counts.rejected(error.reason, self._clock.monotonic() - began)
            if isinstance(work, Coroutine):
                work.close()
            return Response(429, RETRY_TEXT, RETRY_HEADERS)
        finally:
            counts.waiting -= 1
        counts.waits.observe(seat.began - began)
        counts.executing += 1
        try:
            return await work
        finally:
            counts.executing -= 1
            queues.leave(seat)

    def close(self) -> None:
        if self._borrow is not None:
            self._borrow.cancel()

    def _schemas_of(self, user: User) -> list[FlowSchema]:
        found = self._of_user.get(user)
        if found is None:
            found = [one for s in self._schemas if (one := s.of_user(user)) is not None]
            if len(self._of_user) >= USERS_MAX:
                self._of_user.clear()
            self._of_user[user] = found
        return found

    def _hash(self, schema: str, flow: str) -> int:
        found = self._hashes.get((schema, flow))
        if found is None:
            if len(self._hashes) >= HASHES_MAX:
                self._hashes.clear()
            found = self._hashes[schema, flow] = flow_hash(schema, flow)
        return found

    def _read(self) -> None:
        """Compile what is stored; what must be there and is not is taken from the bootstrap."""
        self._is_stale = False
        self._of_user.clear()
        specs = {
            level.name: level
            for level in map(compile_level, _with_catch_all(self._level_objects, priority_levels()))
        }
        schemas = map(compile_schema, _with_catch_all(self._schema_objects, flow_schemas()))
        # One that names no level that is there is as none.
        self._schemas = in_order(s for s in schemas if s.level in specs)
        self.levels = {name: self._level(spec) for name, spec in specs.items()}
        limited = [spec for spec in specs.values() if not spec.is_exempt]
        for name, bounds in bounds_of(limited, self._seats).items():
            level = self.levels[name]
            level.bounds = bounds
            level.queues.resize(max(bounds.nominal, 1))

    def _level(self, spec: PriorityLevel) -> Level:
        level = self.levels.get(spec.name)
        if level is None:
            level = Level(spec, QueueSet(self._clock.monotonic))
        level.spec = spec
        level.queues.configure(spec.queues, spec.hand_size, spec.queue_length)
        return level

    def _share_out(self) -> None:
        """Some level is short of seats: divide them by what each wanted of late; then again."""
        limited = {n: level for n, level in self.levels.items() if not level.spec.is_exempt}
        demand = {name: level.queues.take_demand() for name, level in limited.items()}
        bounds = {name: level.bounds for name, level in limited.items()}
        seats = divide(bounds, demand, self._seats)
        is_short = any(demand[name] > bounds[name].nominal for name in limited)
        for name, level in limited.items():
            level.queues.resize(seats[name] if is_short else max(bounds[name].nominal, 1))
        loop = asyncio.get_running_loop()
        self._borrow = loop.call_later(BORROW_SECONDS, self._again) if is_short else None

    def _again(self) -> None:
        self._borrow = None
        self._share_out()


def _with_catch_all(endpoint: Endpoint, bootstrap: list[Obj]) -> list[Obj]:
    """The objects that are stored; whatever happens to them, everybody can be answered."""
    found = [endpoint.decode(cached) for cached in endpoint.cache.objects.values()]
    names = {obj["metadata"]["name"] for obj in found}
    if CATCH_ALL not in names:
        found += [obj for obj in bootstrap if obj["metadata"]["name"] == CATCH_ALL]
    return found
