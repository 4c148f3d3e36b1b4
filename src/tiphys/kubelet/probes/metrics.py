"""/metrics/probes: how probes ended and how long they took, for pods that are here.

Upstream: pkg/kubelet/prober/prober_manager.go (ProberResults, ProberDuration).
"""

from typing import Final

from tiphys.api.meta import Obj, name_of, namespace_of, uid_of
from tiphys.lib.metrics import Buckets
from tiphys.lib.prometheus_text import Family, Labels, Sample

RESULTS: Final = {"success": "successful", "failure": "failed"}  # Anything else is unknown.


class ProbeMetrics:
    """Forgets a pod with `remove`."""

    def __init__(self) -> None:
        self._totals: dict[str, dict[Labels, int]] = {}  # By the pod's uid.
        self._durations: dict[str, dict[Labels, Buckets]] = {}

    def probed(self, pod: Obj, container: str, kind: str, verdict: str, seconds: float) -> None:
        """kind: liveness, readiness or startup."""
        uid = uid_of(pod)
        common: Labels = (
            ("container", container),
            ("namespace", namespace_of(pod)),
            ("pod", name_of(pod)),
        )
        of_kind = ("probe_type", kind.capitalize())
        result = ("result", RESULTS.get(verdict, "unknown"))
        totals = self._totals.setdefault(uid, {})
        labels = (*common, ("pod_uid", uid), of_kind, result)
        totals[labels] = totals.get(labels, 0) + 1
        durations = self._durations.setdefault(uid, {})
        durations.setdefault((*common, of_kind), Buckets()).observe(seconds)

    def remove(self, uid: str) -> None:
        self._totals.pop(uid, None)
        self._durations.pop(uid, None)

    def families(self) -> list[Family]:
        totals = [Sample(k, n) for found in self._totals.values() for k, n in found.items()]
        durations = [
            sample
            for found in self._durations.values()
            for labels, buckets in found.items()
            for sample in buckets.samples(labels)
        ]
        return [
            Family(
                "prober_probe_duration_seconds",
                "histogram",
                "[ALPHA] Duration in seconds for a probe response.",
                durations,
            ),
            Family(
                "prober_probe_total",
                "counter",
                "[ALPHA] Cumulative number of a liveness, readiness or startup probe for a "
                "container by result.",
                totals,
            ),
        ]
