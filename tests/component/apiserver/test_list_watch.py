"""A list and a watch from its resourceVersion are the state: for all operations and selections.

Random writes, selectors, pages, slow readers, compactions and restarts of the server; each follower
must have seen exactly the events of its selection, in their order, and hold what there is.
Upstream: the contract of apimachinery's ListOptions; client-go's reflector relies on it.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.etcd import etcd
from support.list_watch_lab import FIELDS, KINDS, LABELS, KilledLab, Lab, World
from tiphys.storage import watch_cache

OPERATIONS: Final = 40  # Of one example.
EXAMPLES: Final = 30  # For each store but the slowest.
EXAMPLES_OF_ETCD: Final = 10
EXAMPLES_OF_E2E: Final = 1_250  # For each store: 10^5 operations.
KILLED_EXAMPLES: Final = 25  # Of them each kills its server about twice.
STORY_SECONDS_MAX: Final = 60
# Small enough for examples to meet them. Events of one kind that can still be watched from:
WINDOW_EVENTS: Final = 25
PENDING_BYTES: Final = 500_000  # For a client that does not read.

_names = st.sampled_from([f"o{n}" for n in range(7)])
_labels = st.sampled_from(["", "a", "b", "c"])
_values = st.sampled_from(["red", "blue"])
_sizes = st.sampled_from([1, 1, 1, 3_000, 200_000])
_selections = st.tuples(st.sampled_from(LABELS), st.sampled_from(FIELDS))
_ways = st.sampled_from(["list", "stream", "any"])
_numbers = st.integers(0, 30)
_put = st.tuples(st.just("put"), _names, _labels, _values, _sizes)
_delete = st.tuples(st.just("delete"), _names)
operations = st.one_of(
    *[_put] * 10,
    *[_delete] * 3,
    st.tuples(st.just("delete selected"), st.sampled_from(LABELS)),
    st.tuples(st.just("follow"), _selections, _ways),
    st.tuples(st.just("follow"), _selections, _ways),
    st.tuples(st.just("stall"), _numbers),
    st.tuples(st.just("resume"), _numbers),
    st.tuples(st.just("paged"), _selections, st.lists(_names, max_size=4, unique=True)),
    st.tuples(st.just("listed at"), _numbers, _selections),
    st.tuples(st.just("compact"), _numbers),
    st.tuples(st.just("restart")),
)
FOLLOWERS_MAX: Final = 5
_numbers_of_namespaces = count(1)


async def do(world: World, operation: tuple[Any, ...]) -> None:
    match operation:
        case ("put", name, label, value, size):
            await world.put(name, label, value, size)
        case ("delete", name):
            await world.delete(name)
        case ("delete selected", label):
            await world.delete_selected(label)
        case ("follow", (label, chosen), way):
            if len(world.followers) < FOLLOWERS_MAX:
                await world.follow(label, chosen, way)
        case ("stall" | "resume" as what, number):
            if world.followers:
                follower = world.followers[number % len(world.followers)][0]
                follower.stall() if what == "stall" else follower.resume()
        case ("paged", (label, chosen), between):
            await world.paged(label, chosen, between)
        case ("listed at", back, (label, chosen)):
            await world.listed_at(back, label, chosen)
        case ("compact", back):
            await world.compact(back)
        case ("restart",):
            await world.restart()


async def tell(lab: Lab, kind: str, given_operations: list[tuple[Any, ...]]) -> None:
    world = World(lab, KINDS[kind], f"n{next(_numbers_of_namespaces)}")
    async with asyncio.timeout(STORY_SECONDS_MAX):
        await world.begin()
        try:
            for operation in given_operations:
                await do(world, operation)
            await world.check()
        finally:
            await world.end()


Run = Callable[[str, list[tuple[Any, ...]]], None]


@contextmanager
def a_lab(directory: Path, backend: str) -> Iterator[Run]:
    with ExitStack() as stack:
        if backend == "killed":
            lab: Lab = KilledLab(directory, "sqlite")
        else:
            cluster = stack.enter_context(etcd()) if backend == "etcd" else None
            lab = Lab(directory, backend, cluster)
        loop = uvloop.new_event_loop()
        stack.callback(loop.close)
        loop.run_until_complete(lab.start())
        stack.callback(lambda: loop.run_until_complete(lab.stop()))
        loop.run_until_complete(lab.define())
        yield lambda kind, wanted: loop.run_until_complete(tell(lab, kind, wanted))


def check(directory: Path, backend: str, examples: int, *, derandomize: bool) -> None:
    with a_lab(directory, backend) as run:

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=derandomize,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            st.sampled_from(sorted(KINDS)),
            st.lists(operations, min_size=OPERATIONS, max_size=OPERATIONS),
        )
        def every(kind: str, wanted: list[tuple[Any, ...]]) -> None:
            run(kind, wanted)

        every()


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_cache, "WINDOW_EVENTS_MAX", WINDOW_EVENTS)
    monkeypatch.setattr(watch_cache, "WATCHER_BYTES_MAX", PENDING_BYTES)


@pytest.mark.parametrize("backend", ["memory", "sqlite", "etcd"])
def test_some_operations(tmp_path: Path, backend: str) -> None:
    examples = EXAMPLES_OF_ETCD if backend == "etcd" else EXAMPLES
    check(tmp_path, backend, examples, derandomize=True)


@pytest.mark.slow
def test_a_killed_server_loses_nothing(tmp_path: Path) -> None:
    check(tmp_path, "killed", KILLED_EXAMPLES, derandomize=False)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["memory", "sqlite", "etcd"])
def test_very_many_operations(tmp_path: Path, backend: str) -> None:
    check(tmp_path, backend, EXAMPLES_OF_E2E, derandomize=False)
