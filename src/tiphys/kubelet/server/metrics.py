"""/metrics and /metrics/resource in Prometheus' text format.

Upstream: pkg/kubelet/metrics/metrics.go, collectors/resource_metrics.go.
"""

from collections.abc import Iterable
from typing import Any

from tiphys.api.meta import at
from tiphys.kubelet.deps import Deps
from tiphys.kubelet.pods import Pods
from tiphys.kubelet.runtime_state import (
    CONTAINER_NAME,
    POD_NAME,
    POD_NAMESPACE,
)
from tiphys.kubelet.server.stats import container_stats


async def text(deps: Deps, pods: Pods, path: list[str]) -> bytes:
    if path == ["resource"]:
        return _resource(await container_stats(deps))
    running = [c for uid in deps.cache.uids() for c in deps.cache.get(uid).containers]
    states = {state: sum(c.state == state for c in running) for state in ("running", "exited")}
    sandboxes = sum(deps.cache.get(uid).ready_sandbox is not None for uid in deps.cache.uids())
    lines = [
        *_family("kubelet_running_pods", "gauge", "Number of pods that have a running pod sandbox"),
        f"kubelet_running_pods {sandboxes}",
        *_family("kubelet_running_containers", "gauge", "Number of containers currently running"),
        *(f'kubelet_running_containers{{container_state="{s}"}} {n}' for s, n in states.items()),
        *_family("kubelet_desired_pods", "gauge", "The number of pods the kubelet should run"),
        f'kubelet_desired_pods{{static=""}} {len(pods.active())}',
        *_family("kubelet_node_name", "gauge", "The node's name. The count is always 1."),
        f'kubelet_node_name{{node="{deps.config.node_name}"}} 1',
    ]
    return ("\n".join(lines) + "\n").encode()


def _family(name: str, kind: str, help_text: str) -> tuple[str, str]:
    return f"# HELP {name} [ALPHA] {help_text}", f"# TYPE {name} {kind}"


def _resource(stats: Iterable[dict[str, Any]]) -> bytes:
    cpu, memory = [], []
    for entry in stats:
        labels = at(entry, "attributes", "labels", default={})
        where = (
            f'{{container="{labels.get(CONTAINER_NAME, "")}",'
            f'namespace="{labels.get(POD_NAMESPACE, "")}",pod="{labels.get(POD_NAME, "")}"}}'
        )
        seconds = at(entry, "cpu", "usage_core_nano_seconds", "value", default=0) / 1e9
        used = at(entry, "memory", "working_set_bytes", "value", default=0)
        cpu.append(f"container_cpu_usage_seconds_total{where} {seconds}")
        memory.append(f"container_memory_working_set_bytes{where} {used}")
    lines = [
        *_family("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time in seconds"),
        *cpu,
        *_family("container_memory_working_set_bytes", "gauge", "Current working set in bytes"),
        *memory,
    ]
    return ("\n".join(lines) + "\n").encode()
