"""Resources as cgroup settings, and where a pod's cgroup is.

Upstream: pkg/kubelet/cm helpers_linux.go, pod_container_manager_linux.go; qos/policy.go.
"""

from typing import Any, Final

from tiphys.api.meta import Obj, at
from tiphys.kubelet import quantities
from tiphys.kubelet.pod_spec import QOSClass, pod_limits, pod_requests, qos_class

CPU_PERIOD_US: Final = 100_000  # helpers_linux.go QuotaPeriod
CPU_QUOTA_MIN_US: Final = 1_000  # MinQuotaPeriod
CPU_SHARES_MIN: Final = 2  # MinShares
CPU_SHARES_MAX: Final = 262_144  # MaxShares
GUARANTEED_OOM: Final = -997  # policy.go guaranteedOOMScoreAdj
BEST_EFFORT_OOM: Final = 1000


def cpu_shares(milli_cpu: int) -> int:
    return min(max(milli_cpu * 1024 // 1000, CPU_SHARES_MIN), CPU_SHARES_MAX)


def cpu_quota(milli_cpu: int) -> int:
    """Microseconds in each period; 0 is no bound."""
    return max(milli_cpu * CPU_PERIOD_US // 1000, CPU_QUOTA_MIN_US) if milli_cpu else 0


def container_resources(pod: Obj, container: Obj, node_memory: int) -> dict[str, Any]:
    """LinuxContainerResources of CRI."""
    requests = at(container, "resources", "requests", default={})
    limits = at(container, "resources", "limits", default={})
    asked = requests if "cpu" in requests else limits
    found: dict[str, Any] = {
        "cpu_period": CPU_PERIOD_US,
        "cpu_quota": cpu_quota(quantities.milli_of(limits, "cpu")),
        "cpu_shares": cpu_shares(quantities.milli_of(asked, "cpu")),
        "memory_limit_in_bytes": quantities.value_of(limits, "memory"),
        "oom_score_adj": oom_score(pod, container, node_memory),
    }
    if not found["cpu_quota"]:
        del found["cpu_period"]
    return {name: value for name, value in found.items() if value}


def pod_resources(pod: Obj) -> dict[str, Any]:
    """What the pod's own cgroup gets. Upstream: ResourceConfigForPod."""
    requests, limits = pod_requests(pod), pod_limits(pod)
    found: dict[str, Any] = {"cpu_shares": cpu_shares(quantities.milli_of(requests, "cpu"))}
    containers = at(pod, "spec", "containers", default=[])
    own = at(pod, "spec", "resources", "limits", default={})
    for name, key in (("cpu", "cpu_quota"), ("memory", "memory_limit_in_bytes")):
        # A container without a limit leaves the pod without one.
        if name in own or all(name in at(c, "resources", "limits", default={}) for c in containers):
            if name == "cpu" and "cpu" in limits:
                found["cpu_period"] = CPU_PERIOD_US
                found[key] = cpu_quota(quantities.milli_of(limits, name))
            elif name in limits:
                found[key] = quantities.value_of(limits, name)
    return found


def oom_score(pod: Obj, container: Obj, node_memory: int) -> int:
    """The more of the node's memory a container asked for, the later it is killed."""
    if at(pod, "spec", "priorityClassName") == "system-node-critical":
        return GUARANTEED_OOM
    quality = qos_class(pod)
    if quality == "Guaranteed":
        return GUARANTEED_OOM
    if quality == "BestEffort" or not node_memory:
        return BEST_EFFORT_OOM
    asked = quantities.value_of(at(container, "resources", "requests", default={}), "memory")
    score = 1000 - 1000 * asked // node_memory
    return min(max(score, 1000 + GUARANTEED_OOM), BEST_EFFORT_OOM - 1)


def pod_cgroup(root: str, pod: Obj) -> str:
    """`<root>/kubepods/<qos>/pod<uid>`; guaranteed pods have no level of their own."""
    quality: QOSClass = at(pod, "status", "qosClass") or qos_class(pod)
    level = "" if quality == "Guaranteed" else f"/{quality.lower()}"
    return f"{root.rstrip('/')}/kubepods{level}/pod{pod['metadata']['uid']}"
