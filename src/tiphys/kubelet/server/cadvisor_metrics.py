"""/metrics/cadvisor: containers, pods and the machine under cadvisor's names.

Upstream: vendored cadvisor metrics/prometheus.go; pkg/kubelet/server/server.go
(containerPrometheusLabelsFunc) for the labels.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from tiphys.kubelet.machine import Machine
from tiphys.kubelet.usage.cgroup_usage import CgroupUsage
from tiphys.kubelet.usage.machine_usage import MachineUsage
from tiphys.kubelet.usage.pod_usage import PodUsage
from tiphys.lib.prometheus_text import Family, Kind, Labels, Sample

BILLION: Final = 1_000_000_000


class _Row(NamedTuple):
    """One group with its labels: a container, or (container and image empty) a pod."""

    labels: Labels
    usage: CgroupUsage


# name, kind, field of CgroupUsage, divisor, help
_PLAIN: Final[tuple[tuple[str, Kind, str, int, str], ...]] = (
    (
        "container_cpu_cfs_periods_total",
        "counter",
        "cfs_periods",
        1,
        "Number of elapsed enforcement period intervals.",
    ),
    (
        "container_cpu_cfs_throttled_periods_total",
        "counter",
        "cfs_throttled_periods",
        1,
        "Number of throttled period intervals.",
    ),
    (
        "container_cpu_cfs_throttled_seconds_total",
        "counter",
        "cfs_throttled_nanoseconds",
        BILLION,
        "Total time duration the container has been throttled.",
    ),
    (
        "container_cpu_system_seconds_total",
        "counter",
        "cpu_system_nanoseconds",
        BILLION,
        "Cumulative system cpu time consumed in seconds.",
    ),
    (
        "container_cpu_user_seconds_total",
        "counter",
        "cpu_user_nanoseconds",
        BILLION,
        "Cumulative user cpu time consumed in seconds.",
    ),
    ("container_memory_cache", "gauge", "cache_bytes", 1, "Number of bytes of page cache memory."),
    (
        "container_memory_failcnt",
        "counter",
        "memory_failures",
        1,
        "Number of memory usage hits limits",
    ),
    (
        "container_memory_kernel_usage",
        "gauge",
        "kernel_bytes",
        1,
        "Size of kernel memory allocated in bytes.",
    ),
    (
        "container_memory_mapped_file",
        "gauge",
        "mapped_file_bytes",
        1,
        "Size of memory mapped files in bytes.",
    ),
    (
        "container_memory_max_usage_bytes",
        "gauge",
        "memory_max_bytes",
        1,
        "Maximum memory usage recorded in bytes",
    ),
    ("container_memory_rss", "gauge", "rss_bytes", 1, "Size of RSS in bytes."),
    ("container_memory_swap", "gauge", "swap_bytes", 1, "Container swap usage in bytes."),
    (
        "container_memory_total_active_file_bytes",
        "gauge",
        "active_file_bytes",
        1,
        "Current total active file in bytes.",
    ),
    (
        "container_memory_total_inactive_file_bytes",
        "gauge",
        "inactive_file_bytes",
        1,
        "Current total inactive file in bytes.",
    ),
    (
        "container_memory_usage_bytes",
        "gauge",
        "memory_bytes",
        1,
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
    ),
    (
        "container_memory_working_set_bytes",
        "gauge",
        "working_set_bytes",
        1,
        "Current working set in bytes.",
    ),
    (
        "container_oom_events_total",
        "counter",
        "oom_kills",
        1,
        "Count of out of memory events observed for the container",
    ),
    ("container_spec_cpu_period", "gauge", "cpu_period_us", 1, "CPU period of the container."),
    ("container_spec_cpu_shares", "gauge", "cpu_shares", 1, "CPU share of the container."),
    (
        "container_spec_memory_limit_bytes",
        "gauge",
        "memory_limit_bytes",
        1,
        "Memory limit for the container.",
    ),
    (
        "container_spec_memory_reservation_limit_bytes",
        "gauge",
        "memory_reservation_bytes",
        1,
        "Memory reservation limit for the container.",
    ),
    (
        "container_spec_memory_swap_limit_bytes",
        "gauge",
        "swap_limit_bytes",
        1,
        "Memory swap limit for the container.",
    ),
    (
        "container_threads",
        "gauge",
        "thread_count",
        1,
        "Number of threads running inside the container",
    ),
    (
        "container_threads_max",
        "gauge",
        "thread_limit",
        1,
        "Maximum number of threads allowed inside the container, infinity if value is zero",
    ),
)
_NETWORK: Final = (
    ("container_network_receive_bytes_total", "rx_bytes", "bytes received"),
    ("container_network_receive_errors_total", "rx_errors", "errors encountered while receiving"),
    (
        "container_network_receive_packets_dropped_total",
        "rx_dropped",
        "packets dropped while receiving",
    ),
    ("container_network_receive_packets_total", "rx_packets", "packets received"),
    ("container_network_transmit_bytes_total", "tx_bytes", "bytes transmitted"),
    (
        "container_network_transmit_errors_total",
        "tx_errors",
        "errors encountered while transmitting",
    ),
    (
        "container_network_transmit_packets_dropped_total",
        "tx_dropped",
        "packets dropped while transmitting",
    ),
    ("container_network_transmit_packets_total", "tx_packets", "packets transmitted"),
)


def families(
    machine: Machine, root: MachineUsage, pods: Sequence[PodUsage], now_ms: int
) -> list[Family]:
    rows = [_Row(_pod_labels(pod), pod.usage) for pod in pods if pod.usage is not None]
    rows += [_Row(_labels(pod, at), c.usage) for pod in pods for at, c in enumerate(pod.containers)]
    found = [
        Family(
            name,
            kind,
            text,
            [Sample(row.labels, getattr(row.usage, field) / scale, now_ms) for row in rows],
        )
        for name, kind, field, scale, text in _PLAIN
    ]
    found += [_cpu(rows, root, now_ms), _faults(rows, now_ms), _quota(rows)]
    found += _network(pods, now_ms) + _processes(pods, now_ms) + _machine(machine, root)
    return sorted(found, key=lambda family: family.name)


def _labels(pod: PodUsage, index: int) -> Labels:
    one = pod.containers[index]
    return (
        ("container", one.container.name),
        ("id", one.path),
        ("image", one.container.image),
        ("name", one.container.id),
        ("namespace", pod.namespace),
        ("pod", pod.name),
    )


def _pod_labels(pod: PodUsage) -> Labels:
    return _of(pod.path, pod.namespace, pod.name)


def _of(path: str, namespace: str = "", pod: str = "") -> Labels:
    return (
        ("container", ""),
        ("id", path),
        ("image", ""),
        ("name", ""),
        ("namespace", namespace),
        ("pod", pod),
    )


def _cpu(rows: Sequence[_Row], root: MachineUsage, now_ms: int) -> Family:
    name, text = "container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds."
    total = ("cpu", "total")

    def sample(labels: Labels, nanoseconds: int) -> Sample:
        return Sample((labels[0], total, *labels[1:]), nanoseconds / BILLION, now_ms)

    samples = [sample(row.labels, row.usage.cpu_nanoseconds) for row in rows]
    return Family(name, "counter", text, [sample(_of("/"), root.cpu_nanoseconds), *samples])


def _faults(rows: Sequence[_Row], now_ms: int) -> Family:
    name, text = (
        "container_memory_failures_total",
        "Cumulative count of memory allocation failures.",
    )
    kinds = (("pgfault", "page_faults"), ("pgmajfault", "major_page_faults"))
    samples = [
        Sample(
            (row.labels[0], ("failure_type", kind), *row.labels[1:], ("scope", "hierarchy")),
            getattr(row.usage, field),
            now_ms,
        )
        for row in rows
        for kind, field in kinds
    ]
    return Family(name, "counter", text, samples)


def _quota(rows: Sequence[_Row]) -> Family:
    """Only of groups that have one."""
    samples = [Sample(r.labels, r.usage.cpu_quota_us) for r in rows if r.usage.cpu_quota_us]
    return Family("container_spec_cpu_quota", "gauge", "CPU quota of the container.", samples)


def _network(pods: Sequence[PodUsage], now_ms: int) -> list[Family]:
    found = []
    for name, field, text in _NETWORK:
        samples = [
            Sample((*labels[:3], ("interface", one.name), *labels[3:]), getattr(one, field), now_ms)
            for pod in pods
            for one in pod.interfaces
            for labels in (_pod_labels(pod),)
        ]
        found.append(Family(name, "counter", f"Cumulative count of {text}", samples))
    return found


def _processes(pods: Sequence[PodUsage], now_ms: int) -> list[Family]:
    each = [(_labels(pod, at), one) for pod in pods for at, one in enumerate(pod.containers)]
    return [
        Family(
            "container_processes",
            "gauge",
            "Number of processes running inside the container.",
            [Sample(labels, one.process_count, now_ms) for labels, one in each],
        ),
        Family(
            "container_start_time_seconds",
            "gauge",
            "Start time of the container since unix epoch in seconds.",
            [Sample(labels, one.container.started_at // BILLION, now_ms) for labels, one in each],
        ),
        Family(
            "container_last_seen",
            "gauge",
            "Last time a container was seen by the exporter",
            [Sample(labels, now_ms // 1000, now_ms) for labels, _ in each],
        ),
        Family(
            "container_scrape_error",
            "gauge",
            "1 if there was an error while getting container metrics, 0 otherwise",
            [Sample((), 0)],
        ),
    ]


def _machine(machine: Machine, root: MachineUsage) -> list[Family]:
    labels = (
        ("boot_id", machine.boot_id),
        ("machine_id", machine.machine_id),
        ("system_uuid", machine.system_uuid),
    )
    version = (
        ("cadvisorRevision", ""),
        ("cadvisorVersion", ""),
        ("dockerVersion", ""),
        ("kernelVersion", machine.kernel),
        ("osVersion", machine.os_image),
    )
    return [
        Family(
            "cadvisor_version_info",
            "gauge",
            "A metric with a constant '1' value labeled by kernel version and OS version.",
            [Sample(version, 1)],
        ),
        Family(
            "machine_cpu_cores",
            "gauge",
            "Number of logical CPU cores.",
            [Sample(labels, machine.cpus)],
        ),
        Family(
            "machine_memory_bytes",
            "gauge",
            "Amount of memory installed on the machine.",
            [Sample(labels, machine.memory)],
        ),
        Family(
            "machine_swap_bytes",
            "gauge",
            "Amount of swap memory available on the machine.",
            [Sample(labels, root.swap_total_bytes)],
        ),
        Family(
            "machine_scrape_error",
            "gauge",
            "1 if there was an error while getting machine metrics, 0 otherwise.",
            [Sample((), 0)],
        ),
    ]
