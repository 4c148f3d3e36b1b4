"""/stats/summary: what pods and node use. Upstream: pkg/kubelet/server/stats/summary.go."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at, rfc3339
from tiphys.cri.errors import CriError
from tiphys.kubelet import machine
from tiphys.kubelet.deps import Deps
from tiphys.kubelet.pods import Pods
from tiphys.kubelet.runtime_state import CONTAINER_NAME, POD_UID, moment


async def container_stats(deps: Deps) -> list[dict[str, Any]]:
    """The runtime's ContainerStats; none where it has not got them."""
    try:
        found: list[dict[str, Any]] = (await deps.cri.call("ListContainerStats", {})).get(
            "stats", []
        )
    except CriError:
        return []
    return found


async def summary(deps: Deps, pods: Pods) -> Obj:
    by_pod: dict[str, list[dict[str, Any]]] = {}
    for entry in await container_stats(deps):
        uid = at(entry, "attributes", "labels", POD_UID, default="")
        by_pod.setdefault(uid, []).append(entry)
    now = deps.clock.now()
    items = [_pod(pod, by_pod.get(pod["metadata"]["uid"], []), now) for pod in pods.items()]
    used = deps.machine.memory - machine.available_memory()
    node: Obj = {
        "nodeName": deps.config.node_name,
        "startTime": rfc3339(now),
        "memory": {
            "time": rfc3339(now),
            "availableBytes": machine.available_memory(),
            "usageBytes": used,
            "workingSetBytes": used,
        },
    }
    return {"node": node, "pods": items}


def _pod(pod: Obj, stats: list[dict[str, Any]], now: datetime) -> Obj:
    meta = pod["metadata"]
    containers = [_container(s, now) for s in stats]
    return {
        "podRef": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
        "startTime": at(pod, "status", "startTime"),
        "containers": containers,
        "cpu": _sum(containers, "cpu", ("usageNanoCores", "usageCoreNanoSeconds"), now),
        "memory": _sum(containers, "memory", ("usageBytes", "workingSetBytes", "rssBytes"), now),
    }


def _sum(containers: list[Obj], group: str, names: tuple[str, ...], now: datetime) -> Obj:
    sums = {name: sum(at(c, group, name, default=0) for c in containers) for name in names}
    return {"time": rfc3339(now), **sums}


def _container(stats: Mapping[str, Any], now: datetime) -> Obj:
    cpu, memory = stats.get("cpu") or {}, stats.get("memory") or {}
    layer = stats.get("writable_layer") or {}
    return {
        "name": at(stats, "attributes", "labels", CONTAINER_NAME, default=""),
        "startTime": rfc3339(now),
        "cpu": {
            "time": rfc3339(moment(cpu.get("timestamp", 0))),
            "usageNanoCores": _value(cpu, "usage_nano_cores"),
            "usageCoreNanoSeconds": _value(cpu, "usage_core_nano_seconds"),
        },
        "memory": {
            "time": rfc3339(moment(memory.get("timestamp", 0))),
            "usageBytes": _value(memory, "usage_bytes"),
            "workingSetBytes": _value(memory, "working_set_bytes"),
            "rssBytes": _value(memory, "rss_bytes"),
        },
        "rootfs": {"time": rfc3339(now), "usedBytes": _value(layer, "used_bytes")},
    }


def _value(group: Mapping[str, Any], name: str) -> int:
    return int(at(group, name, "value", default=0))
