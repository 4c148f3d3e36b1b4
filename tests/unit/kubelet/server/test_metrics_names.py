"""Names, kinds and labels of the kubelet's metrics are upstream's, as recorded of the real one."""

import re

import pytest

from shared import SHARED, needs_shared
from tiphys.kubelet.machine import Machine
from tiphys.kubelet.probes.metrics import ProbeMetrics
from tiphys.kubelet.runtime_state import RuntimeContainer
from tiphys.kubelet.server import cadvisor_metrics, resource_metrics
from tiphys.kubelet.usage.cgroup_usage import CgroupUsage
from tiphys.kubelet.usage.machine_usage import MachineUsage
from tiphys.kubelet.usage.network import InterfaceCounters
from tiphys.kubelet.usage.pod_usage import ContainerUsage, PodUsage
from tiphys.lib.prometheus_text import Family, parse, render

NOW_MS = 1_700_000_000_000
MACHINE = Machine(2, 8, 9, "amd64", "6.1", "Debian", "id", "uuid", "boot", "host")
ROOT = MachineUsage(4_000_000_000, 5, 4, 4, 3, 1, 2, 7, 1, 5)
USED = CgroupUsage(
    cpu_nanoseconds=1_500_000_000, working_set_bytes=4096, swap_bytes=8, cpu_quota_us=1
)
CONTAINER = RuntimeContainer("id1", "c", "running", started_at=2_500_000_000, image="busybox")
POD = PodUsage(
    {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}},
    "/kubepods/podu",
    USED,
    [ContainerUsage(CONTAINER, "/kubepods/podu/id1", USED, 3)],
    [InterfaceCounters("eth0", 1, 2, 3, 4, 5, 6, 7, 8)],
)
# What cadvisor shows and we do not: read from where we do not look, or always zero.
NOT_SHOWN = re.compile(
    "container_(fs|spec_cpu_burst|cpu_cfs_burst|cpu_load|file_descriptors|health_state|sockets"
    "|tasks_state|ulimits)|machine_(cpu_(books|drawers|physical|sockets)|nvm)"
)


def recorded(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Kind and label names by metric."""
    text = (SHARED / "oracle" / "endpoints" / f"metrics-{name}.txt").read_text()
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            metric, kind, labels = line.split(" ", 2)
            found[metric] = (kind, frozenset(filter(None, labels.strip("{}").split(","))))
    return found


def shown(families: list[Family]) -> dict[str, tuple[str, frozenset[str]]]:
    return {f.name: (f.kind, frozenset(k for k, _ in f.samples[0].labels)) for f in families}


def of_resource() -> list[Family]:
    return resource_metrics.families(ROOT, [POD], NOW_MS)


def of_cadvisor() -> list[Family]:
    return cadvisor_metrics.families(MACHINE, ROOT, [POD], NOW_MS)


@needs_shared
def test_resource_metrics_are_upstreams() -> None:
    assert shown(of_resource()) == recorded("resource")


@needs_shared
def test_cadvisor_metrics_are_upstreams() -> None:
    wanted = {k: v for k, v in recorded("cadvisor").items() if not NOT_SHOWN.match(k)}
    assert shown(of_cadvisor()) == wanted


def of_probes(*verdicts: str) -> ProbeMetrics:
    metrics = ProbeMetrics()
    for verdict in verdicts:
        metrics.probed(POD.pod, "c", "readiness", verdict, 0.01)
    return metrics


@needs_shared
def test_probe_metrics_are_upstreams() -> None:
    found = {
        # The bounds of a histogram are no label of the metric's own.
        name: (kind, labels - {"le"})
        for name, (kind, labels) in shown(of_probes("success").families()).items()
    }
    wanted = {k: v for k, v in recorded("probes").items() if k.startswith("prober_")}
    assert found == wanted


def test_probes_are_counted_by_result_while_their_pod_is_here() -> None:
    metrics = of_probes("success", "success", "failure", "unknown")
    [_, total] = metrics.families()
    counts = {dict(s.labels)["result"]: s.value for s in total.samples}
    assert counts == {"successful": 2, "failed": 1, "unknown": 1}
    metrics.remove("u")
    assert all(not family.samples for family in metrics.families())


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        (
            "container_cpu_usage_seconds_total",
            {"container": "c", "namespace": "ns", "pod": "p"},
            1.5,
        ),
        ("container_start_time_seconds", {"container": "c", "namespace": "ns", "pod": "p"}, 2.5),
        ("pod_memory_working_set_bytes", {"namespace": "ns", "pod": "p"}, 4096),
        ("node_cpu_usage_seconds_total", {}, 4),
        ("node_memory_working_set_bytes", {}, 4),
    ],
)
def test_values_of_resource_metrics(name: str, labels: dict[str, str], value: float) -> None:
    lines = [line for line in parse(render(of_resource()).decode()) if line.name == name]
    assert [(line.labels, line.value) for line in lines] == [(labels, value)]


def test_values_of_cadvisor_metrics() -> None:
    lines = [
        (line.labels["id"], line.labels["container"], line.value)
        for line in parse(render(of_cadvisor()).decode())
        if line.name == "container_cpu_usage_seconds_total"
    ]
    assert lines == [("/", "", 4), ("/kubepods/podu", "", 1.5), ("/kubepods/podu/id1", "c", 1.5)]
