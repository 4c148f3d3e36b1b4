"""What a component counts: counters and histograms that cost a dictionary look-up each.

Kept by whoever counts and shown by its page of metrics; there is no registry for a whole process.
Source: prometheus.io/docs/concepts/metric_types.
"""

import os
import resource
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from tiphys.lib.prometheus_text import Family, Labels, Sample

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of buckets for durations: the default of Prometheus' libraries."""
SERIES_MAX: Final = 2_000  # Of one metric; more label values than that are a mistake of ours.


class Counter:
    """Counts by label values, given in the order of `names`."""

    __slots__ = ("_values", "help_text", "name", "names")

    def __init__(self, name: str, help_text: str, names: Sequence[str] = ()) -> None:
        self.name = name
        self.help_text = help_text
        self.names = tuple(names)
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, *values: str, amount: float = 1) -> None:
        known = self._values
        if values in known or len(known) < SERIES_MAX:
            known[values] = known.get(values, 0) + amount

    def family(self) -> Family:
        samples = [Sample(_labels(self.names, v), n) for v, n in self._values.items()]
        return Family(self.name, "counter", self.help_text, samples)


class Histogram:
    """Durations in seconds by label values; see Counter."""

    __slots__ = ("_series", "bounds", "help_text", "name", "names")

    def __init__(
        self,
        name: str,
        help_text: str,
        names: Sequence[str] = (),
        bounds: Sequence[float] = SECONDS,
    ) -> None:
        self.name = name
        self.help_text = help_text
        self.names = tuple(names)
        self.bounds = tuple(bounds)
        self._series: dict[tuple[str, ...], Buckets] = {}

    def observe(self, seconds: float, *values: str) -> None:
        buckets = self._series.get(values)
        if buckets is None:
            if len(self._series) >= SERIES_MAX:
                return
            buckets = self._series[values] = Buckets(self.bounds)
        buckets.observe(seconds)

    def family(self) -> Family:
        samples = [
            sample
            for values, buckets in self._series.items()
            for sample in buckets.samples(_labels(self.names, values))
        ]
        return Family(self.name, "histogram", self.help_text, samples)


class Buckets:
    """One series of a histogram."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def samples(self, labels: Labels) -> list[Sample]:
        found, so_far = [], 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            so_far += count
            text = "+Inf" if bound == float("inf") else f"{bound:g}"
            found.append(Sample((*labels, ("le", text)), so_far, 0, "_bucket"))
        found.append(Sample(labels, self.total, 0, "_sum"))
        found.append(Sample(labels, so_far, 0, "_count"))
        return found


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> Labels:
    return tuple(zip(names, values, strict=True))


def gauge(name: str, help_text: str, value: float, *labels: tuple[str, str]) -> Family:
    """A gauge of one sample."""
    return Family(name, "gauge", help_text, [Sample(labels, value)])


def process_families() -> list[Family]:
    """This process, under the names that every Prometheus library gives them.

    Source: prometheus.io/docs/instrumenting/writing_clientlibs, "Process metrics".
    """
    times = os.times()
    with open("/proc/self/statm") as file:
        size, resident = (int(word) * resource.getpagesize() for word in file.read().split()[:2])
    with open("/proc/self/stat") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    started = _boot_seconds() + ticks / os.sysconf("SC_CLK_TCK")
    cpu = Sample((), times.user + times.system)
    text = "Total user and system CPU time spent in seconds."
    return [
        Family("process_cpu_seconds_total", "counter", text, [cpu]),
        gauge("process_resident_memory_bytes", "Resident memory size in bytes.", resident),
        gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", size),
        gauge("process_start_time_seconds", "Start time since unix epoch in seconds.", started),
        gauge("process_open_fds", "Number of open files.", len(os.listdir("/proc/self/fd"))),
        gauge(
            "process_max_fds",
            "Maximum number of open files.",
            resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        ),
    ]


def _boot_seconds() -> int:
    with open("/proc/stat") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("btime ")), 0)
