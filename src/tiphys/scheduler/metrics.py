"""What the scheduler counts. Upstream: pkg/scheduler/metrics/metrics.go."""

from tiphys.lib.metrics import Counter, Histogram
from tiphys.lib.prometheus_text import Family, Sample

PROFILE = "default-scheduler"


class SchedulerMetrics:
    def __init__(self) -> None:
        self._attempts = Counter(
            "scheduler_schedule_attempts_total",
            "[STABLE] Number of attempts to schedule pods, by the result. 'unschedulable' means a "
            "pod could not be scheduled, while 'error' means an internal scheduler problem.",
            ("profile", "result"),
        )
        self._durations = Histogram(
            "scheduler_scheduling_attempt_duration_seconds",
            "[STABLE] Scheduling attempt latency in seconds (scheduling algorithm + binding)",
            ("profile", "result"),
        )

    def attempted(self, result: str, seconds: float) -> None:
        """result: scheduled, unschedulable or error."""
        self._attempts.add(PROFILE, result)
        self._durations.observe(seconds, PROFILE, result)

    def families(self, pending: dict[str, int]) -> list[Family]:
        """pending: pods by the queue that they are in."""
        text = "[STABLE] Number of pending pods, by the queue type."
        samples = [Sample((("queue", name),), count) for name, count in pending.items()]
        return [
            self._attempts.family(),
            self._durations.family(),
            Family("scheduler_pending_pods", "gauge", text, samples),
        ]
