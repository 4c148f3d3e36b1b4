"""What priority and fairness counts. Upstream: apiserver pkg/util/flowcontrol/metrics."""

from typing import TYPE_CHECKING, Final

from tiphys.lib.metrics import Buckets
from tiphys.lib.prometheus_text import Family, Labels, Sample

if TYPE_CHECKING:
    from tiphys.apiserver.fairness.fairness import Level

WAIT_BOUNDS: Final = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
FLOWS_MAX: Final = 1000  # Pairs of schema and level counted apart; more go into the last.


class FlowCounts:
    """Of one schema at one level. `dispatched` counts those that were answered at once too."""

    __slots__ = (
        "dispatched",
        "executing",
        "labels",
        "refused",
        "refused_waits",
        "waiting",
        "waits",
    )

    def __init__(self, schema: str, level: str) -> None:
        self.labels: Labels = (("flow_schema", schema), ("priority_level", level))
        self.dispatched = 0
        self.executing = 0
        self.waiting = 0
        self.refused: dict[str, int] = {}
        self.waits = Buckets(WAIT_BOUNDS)
        self.refused_waits = Buckets(WAIT_BOUNDS)

    def rejected(self, reason: str, seconds: float) -> None:
        self.dispatched -= 1  # It was taken for one that would be.
        self.refused[reason] = self.refused.get(reason, 0) + 1
        self.refused_waits.observe(seconds)


class FlowMetrics:
    """All of them, and the page's families."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], FlowCounts] = {}

    def counts_of(self, schema: str, level: str) -> FlowCounts:
        found = self._counts.get((schema, level))
        if found is None:
            if len(self._counts) >= FLOWS_MAX:
                return next(reversed(self._counts.values()))
            found = self._counts[schema, level] = FlowCounts(schema, level)
        return found

    def families(self, levels: "dict[str, Level]") -> list[Family]:
        counts = list(self._counts.values())
        limited = {n: level for n, level in levels.items() if not level.spec.is_exempt}
        waits = [
            sample
            for c in counts
            for execute, buckets in (("true", c.waits), ("false", c.refused_waits))
            if any(buckets.counts)
            for sample in buckets.samples((("execute", execute), *c.labels))
        ]
        return [
            Family(
                _name("dispatched_requests_total"),
                "counter",
                "[BETA] Number of requests executed by API Priority and Fairness subsystem",
                [Sample(c.labels, c.dispatched) for c in counts],
            ),
            Family(
                _name("rejected_requests_total"),
                "counter",
                "[BETA] Number of requests rejected by API Priority and Fairness subsystem",
                [
                    Sample((*c.labels, ("reason", reason)), count)
                    for c in counts
                    for reason, count in c.refused.items()
                ],
            ),
            Family(
                _name("current_inqueue_requests"),
                "gauge",
                "[BETA] Number of requests currently pending in queues of the API Priority and "
                "Fairness subsystem",
                [Sample(c.labels, c.waiting) for c in counts],
            ),
            Family(
                _name("current_executing_requests"),
                "gauge",
                "[BETA] Number of requests in initial (for a WATCH) or any (for a non-WATCH) "
                "execution stage in the API Priority and Fairness subsystem",
                [Sample(c.labels, c.executing) for c in counts],
            ),
            _of_levels(
                "current_executing_seats",
                "[BETA] Concurrency (number of seats) occupied by the currently executing requests "
                "in the API Priority and Fairness subsystem",
                {n: level.queues.in_use for n, level in limited.items()},
            ),
            _of_levels(
                "nominal_limit_seats",
                "[BETA] Nominal number of execution seats configured for each priority level",
                {n: level.bounds.nominal for n, level in limited.items()},
            ),
            _of_levels(
                "current_limit_seats",
                "[ALPHA] current derived number of execution seats available to each priority "
                "level",
                {n: level.queues.seats for n, level in limited.items()},
            ),
            Family(
                _name("request_wait_duration_seconds"),
                "histogram",
                "[BETA] Length of time a request spent waiting in its queue",
                waits,
            ),
        ]


def _name(what: str) -> str:
    return f"apiserver_flowcontrol_{what}"


def _of_levels(what: str, text: str, values: dict[str, int]) -> Family:
    samples = [Sample((("priority_level", name),), value) for name, value in values.items()]
    return Family(_name(what), "gauge", text, samples)
