"""The last two points of every node and container, and the rate between them.

A pure value: `taken` makes the next state from one round of scrapes.
Upstream: metrics-server pkg/storage (node.go, pod.go, types.go).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

# A container's first point counts together with its start once it is so old. Upstream waits 10 s
# (freshContainerMinMetricsResolution), by which a pod could be shown only 25 s after its start.
FRESH_SECONDS_MIN: Final = 2.0
WINDOW_SECONDS_MAX: Final = 60.0  # An older second point says nothing of now.


class Point(NamedTuple):
    """CPU time used until `at`, and memory then. Times are seconds since 1970."""

    at: float
    cpu_seconds: float
    memory_bytes: int
    started_at: float = 0.0


class Usage(NamedTuple):
    """Of the time from `at - window_seconds` to `at`."""

    at: float
    window_seconds: float
    cpu_cores: float
    memory_bytes: int


PodKey = tuple[str, str]  # namespace, name


@dataclass(frozen=True, slots=True)
class Scraped:
    """What one kubelet said; a container's key is its name."""

    node: Point | None
    pods: Mapping[PodKey, Mapping[str, Point]] = field(default_factory=dict)


class _Pair(NamedTuple):
    last: Point
    before: Point | None


def _next(pair: _Pair | None, new: Point) -> _Pair:
    """The pair after a new point; one that began anew has nothing before."""
    if pair is not None:
        if new.at <= pair.last.at:
            return pair  # The kubelet has not looked again.
        began_anew = new.started_at > pair.last.at or new.cpu_seconds < pair.last.cpu_seconds
        if not began_anew and new.at - pair.last.at <= WINDOW_SECONDS_MAX:
            return _Pair(new, pair.last)
    age = new.at - new.started_at
    if new.started_at and FRESH_SECONDS_MIN <= age <= WINDOW_SECONDS_MAX:
        return _Pair(new, Point(new.started_at, 0.0, 0, new.started_at))
    return _Pair(new, None)


def _usage(pair: _Pair | None) -> Usage | None:
    if pair is None or pair.before is None:
        return None
    last, before = pair.last, pair.before
    window = last.at - before.at
    return Usage(
        last.at, window, (last.cpu_seconds - before.cpu_seconds) / window, last.memory_bytes
    )


@dataclass(frozen=True, slots=True)
class Points:
    """State of all nodes; who was not scraped this time is forgotten."""

    nodes: Mapping[str, _Pair] = field(default_factory=dict)
    pods: Mapping[PodKey, Mapping[str, _Pair]] = field(default_factory=dict)

    @property
    def is_settled(self) -> bool:
        """Whether every node that answers has two points."""
        return all(pair.before is not None for pair in self.nodes.values())

    def node(self, name: str) -> Usage | None:
        return _usage(self.nodes.get(name))

    def pod(self, key: PodKey) -> dict[str, Usage] | None:
        """By container; None until every container can be told. Upstream: pod.go GetMetrics."""
        pairs = self.pods.get(key)
        if not pairs:
            return None
        found = {}
        for name, pair in pairs.items():
            usage = _usage(pair)
            if usage is None:
                return None
            found[name] = usage
        return found


def taken(points: Points, scraped: Mapping[str, Scraped]) -> Points:
    """The state after a round; scraped is by node."""
    nodes, pods = {}, {}
    for name, found in scraped.items():
        if found.node is not None:
            nodes[name] = _next(points.nodes.get(name), found.node)
        for key, containers in found.pods.items():
            known = points.pods.get(key, {})
            pods[key] = {c: _next(known.get(c), point) for c, point in containers.items()}
    return Points(nodes, pods)
