"""/metrics/resource: what metrics-server reads.

Upstream: pkg/kubelet/metrics/collectors/resource_metrics.go.
"""

from collections.abc import Sequence
from typing import Final

from tiphys.kubelet.usage.machine_usage import MachineUsage
from tiphys.kubelet.usage.pod_usage import ContainerUsage, PodUsage
from tiphys.lib.prometheus_text import Family, Kind, Labels, Sample

BILLION: Final = 1_000_000_000
# name, kind, field of CgroupUsage (and, for a node, of MachineUsage), divisor, help
_EACH: Final[tuple[tuple[str, Kind, str, int, str], ...]] = (
    (
        "cpu_usage_seconds_total",
        "counter",
        "cpu_nanoseconds",
        BILLION,
        "Cumulative cpu time consumed by the {} in core-seconds",
    ),
    (
        "memory_working_set_bytes",
        "gauge",
        "working_set_bytes",
        1,
        "Current working set of the {} in bytes",
    ),
    (
        "swap_usage_bytes",
        "gauge",
        "swap_bytes",
        1,
        "Current amount of the {} swap usage in bytes. Reported only on non-windows systems",
    ),
)
_Used = Sequence[tuple[Labels, object]]


def families(machine: MachineUsage, pods: Sequence[PodUsage], now_ms: int) -> list[Family]:
    """All samples are of now_ms, milliseconds since 1970."""
    containers = [(_labels(pod, c), c) for pod in pods for c in pod.containers]
    used: _Used = [(labels, c.usage) for labels, c in containers]
    groups: _Used = [
        ((("namespace", p.namespace), ("pod", p.name)), p.usage)
        for p in pods
        if p.usage is not None
    ]
    started = [Sample(labels, c.container.started_at / BILLION) for labels, c in containers]
    found = [
        *_of("container", used, now_ms),
        *_of("node", [((), machine)], now_ms),
        *_of("pod", groups, now_ms),
        _family(
            "container_start_time_seconds",
            "gauge",
            "Start time of the container since unix epoch in seconds",
            started,
        ),
        _family(
            "container_swap_limit_bytes",
            "gauge",
            "Current amount of the container swap limit in bytes",
            [Sample(labels, c.usage.swap_limit_bytes, now_ms) for labels, c in containers],
        ),
        _family(
            "resource_scrape_error",
            "gauge",
            "1 if there was an error while getting container metrics, 0 otherwise",
            [Sample((), 0)],
        ),
    ]
    return sorted(found, key=lambda family: family.name)


def _of(what: str, used: _Used, now_ms: int) -> list[Family]:
    """what: container, pod or node, as names and help texts have it."""
    return [
        _family(
            f"{what}_{name}",
            kind,
            text.format(what),
            [Sample(labels, getattr(usage, field) / scale, now_ms) for labels, usage in used],
        )
        for name, kind, field, scale, text in _EACH
    ]


def _family(name: str, kind: Kind, text: str, samples: list[Sample]) -> Family:
    return Family(name, kind, f"[STABLE] {text}", samples)


def _labels(pod: PodUsage, one: ContainerUsage) -> Labels:
    return (
        ("container", one.container.name),
        ("namespace", pod.namespace),
        ("pod", pod.name),
    )
