"""From points each 15 s to averages of a minute. Pure."""

from collections.abc import Mapping

from tiphys.metrics_server.history import MinutePoint
from tiphys.metrics_server.points import Points


def node_series(name: str) -> str:
    return f"node/{name}"


def pod_series(namespace: str, name: str) -> str:
    return f"pod/{namespace}/{name}"


def usage_by_series(points: Points) -> dict[str, tuple[float, int]]:
    """CPU in cores and memory in bytes; of a pod the sums of its containers."""
    found: dict[str, tuple[float, int]] = {}
    for name in points.nodes:
        used = points.node(name)
        if used is not None:
            found[node_series(name)] = (used.cpu_cores, used.memory_bytes)
    for namespace, name in points.pods:
        containers = points.pod((namespace, name))
        if containers:
            each = containers.values()
            found[pod_series(namespace, name)] = (
                sum(u.cpu_cores for u in each),
                sum(u.memory_bytes for u in each),
            )
    return found


class Minute:
    """Gathers one minute; `add` gives the minute before when another begins."""

    def __init__(self) -> None:
        self._minute = 0
        self._sums: dict[str, tuple[float, int, int]] = {}  # CPU, memory, how many.

    def add(self, minute: int, used: Mapping[str, tuple[float, int]]) -> dict[str, MinutePoint]:
        """used: as usage_by_series has it. minute: since 1970."""
        ended: dict[str, MinutePoint] = {}
        if minute != self._minute:
            ended = {
                series: MinutePoint(self._minute, round(1000 * cpu / count), memory // count)
                for series, (cpu, memory, count) in self._sums.items()
            }
            self._minute, self._sums = minute, {}
        for series, (cpu, memory) in used.items():
            before = self._sums.get(series, (0.0, 0, 0))
            self._sums[series] = (before[0] + cpu, before[1] + memory, before[2] + 1)
        return ended
