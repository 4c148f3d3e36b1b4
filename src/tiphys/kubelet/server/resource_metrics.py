"""/metrics/resource: what metrics-server reads.

Upstream: pkg/kubelet/metrics/collectors/resource_metrics.go.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from tiphys.kubelet.usage.machine_usage import MachineUsage
from tiphys.kubelet.usage.pod_usage import ContainerUsage, PodUsage
from tiphys.lib.prometheus_text import Family, Kind, Sample

BILLION: Final = 1_000_000_000
_CPU: Final = "Cumulative cpu time consumed by the {} in core-seconds"
_MEMORY: Final = "Current working set of the {} in bytes"
_SWAP: Final = "Current amount of the {} swap usage in bytes. Reported only on non-windows systems"


def families(machine: MachineUsage, pods: Sequence[PodUsage], now_ms: int) -> list[Family]:
    """All samples are of now_ms, milliseconds since 1970."""

    def family(name: str, kind: Kind, text: str, samples: Iterable[Sample]) -> Family:
        return Family(name, kind, f"[STABLE] {text}", list(samples))

    def node(value: float) -> list[Sample]:
        return [Sample((), value, now_ms)]

    containers = [(pod, c) for pod in pods for c in pod.containers]
    each = [(_container_labels(pod, c), c) for pod, c in containers]
    groups = [
        ((("namespace", p.namespace), ("pod", p.name)), p.usage)
        for p in pods
        if p.usage is not None
    ]

    def of_containers(field: str, scale: int = 1) -> list[Sample]:
        return [Sample(at, getattr(c.usage, field) / scale, now_ms) for at, c in each]

    def of_pods(field: str, scale: int = 1) -> list[Sample]:
        return [Sample(at, getattr(usage, field) / scale, now_ms) for at, usage in groups]

    started = [Sample(at, c.container.started_at / BILLION, 0) for at, c in each]
    return [
        family(
            "container_cpu_usage_seconds_total",
            "counter",
            _CPU.format("container"),
            of_containers("cpu_nanoseconds", BILLION),
        ),
        family(
            "container_memory_working_set_bytes",
            "gauge",
            _MEMORY.format("container"),
            of_containers("working_set_bytes"),
        ),
        family(
            "container_start_time_seconds",
            "gauge",
            "Start time of the container since unix epoch in seconds",
            started,
        ),
        family(
            "container_swap_limit_bytes",
            "gauge",
            "Current amount of the container swap limit in bytes",
            of_containers("swap_limit_bytes"),
        ),
        family(
            "container_swap_usage_bytes",
            "gauge",
            _SWAP.format("container"),
            of_containers("swap_bytes"),
        ),
        family(
            "node_cpu_usage_seconds_total",
            "counter",
            _CPU.format("node"),
            node(machine.cpu_nanoseconds / BILLION),
        ),
        family(
            "node_memory_working_set_bytes",
            "gauge",
            _MEMORY.format("node"),
            node(machine.working_set_bytes),
        ),
        family("node_swap_usage_bytes", "gauge", _SWAP.format("node"), node(machine.swap_bytes)),
        family(
            "pod_cpu_usage_seconds_total",
            "counter",
            _CPU.format("pod"),
            of_pods("cpu_nanoseconds", BILLION),
        ),
        family(
            "pod_memory_working_set_bytes",
            "gauge",
            _MEMORY.format("pod"),
            of_pods("working_set_bytes"),
        ),
        family("pod_swap_usage_bytes", "gauge", _SWAP.format("pod"), of_pods("swap_bytes")),
        family(
            "resource_scrape_error",
            "gauge",
            "1 if there was an error while getting container metrics, 0 otherwise",
            [Sample((), 0)],
        ),
    ]


def _container_labels(pod: PodUsage, one: ContainerUsage) -> tuple[tuple[str, str], ...]:
    return (
        ("container", one.container.name),
        ("namespace", pod.namespace),
        ("pod", pod.name),
    )
