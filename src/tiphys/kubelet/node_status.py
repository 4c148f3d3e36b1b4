"""The Node object as the kubelet writes it.

Upstream: pkg/kubelet/kubelet_node_status.go, nodestatus/setters.go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, at, labels_of, rfc3339
from tiphys.kubelet.config import KubeletConfig
from tiphys.kubelet.machine import Machine

IMAGES_MAX: Final = 50  # defaults.go NodeStatusMaxImages
# eviction/defaults_linux.go: memory.available<100Mi, nodefs.available<10%.
EVICTION_MEMORY_BYTES: Final = 100 << 20
EVICTION_DISK_THOUSANDTHS: Final = 100
EVICTION_INODES_THOUSANDTHS: Final = 50
# Reason and message by type: without and with pressure.
_PRESSURES: Final = {
    "MemoryPressure": (
        ("KubeletHasSufficientMemory", "sufficient memory available"),
        ("KubeletHasInsufficientMemory", "insufficient memory available"),
    ),
    "DiskPressure": (
        ("KubeletHasNoDiskPressure", "no disk pressure"),
        ("KubeletHasDiskPressure", "disk pressure"),
    ),
    "PIDPressure": (
        ("KubeletHasSufficientPID", "sufficient PID available"),
        ("KubeletHasInsufficientPID", "insufficient PID available"),
    ),
}
_EPHEMERAL: Final = "ephemeral-storage"
# Nothing runs there before the cloud has told of the machine: cloud-provider api/well_known_taints.
_UNINITIALIZED: Final = {
    "key": "node.cloudprovider.kubernetes.io/uninitialized",
    "value": "true",
    "effect": "NoSchedule",
}


@dataclass(frozen=True, slots=True)
class Health:
    """What conditions are made from; `runtime_error` is empty when the runtime is well."""

    runtime_error: str = ""
    network_error: str = ""
    memory_available: int = 1 << 62
    disk_thousandths: int = 1000
    inodes_thousandths: int = 1000
    pids_short: bool = False


def capacity(config: KubeletConfig, machine: Machine) -> dict[str, str]:
    return {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory // 1024}Ki",
        _EPHEMERAL: f"{machine.disk // 1024}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "pods": str(config.max_pods),
    }


def allocatable(config: KubeletConfig, machine: Machine) -> dict[str, str]:
    """Capacity less what eviction keeps free."""
    found = capacity(config, machine)
    found["memory"] = f"{max(0, machine.memory - EVICTION_MEMORY_BYTES) // 1024}Ki"
    found[_EPHEMERAL] = str(machine.disk * (1000 - EVICTION_DISK_THOUSANDTHS) // 1000)
    return found


def labels(config: KubeletConfig, machine: Machine) -> dict[str, str]:
    return {
        "beta.kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/hostname": config.node_name,
        "kubernetes.io/os": "linux",
        **config.node_labels,
    }


def new_node(config: KubeletConfig, machine: Machine) -> Obj:
    """The object to register; its status is written apart."""
    spec: Obj = {}
    if config.provider_id:
        spec["providerID"] = config.provider_id
    taints = [dict(t) for t in config.register_taints]
    if config.external_cloud:
        taints.append(dict(_UNINITIALIZED))
    if taints:
        spec["taints"] = taints
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": config.node_name,
            "labels": labels(config, machine),
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": spec,
    }


def missing_labels(node: Obj, config: KubeletConfig, machine: Machine) -> dict[str, str]:
    """What an already registered node lacks. Upstream: updateDefaultLabels."""
    found = labels_of(node)
    return {k: v for k, v in labels(config, machine).items() if found.get(k) != v}


def addresses(config: KubeletConfig, before: Obj) -> list[Obj]:
    """Our own, unless a cloud has told better ones; before: the status.

    Upstream: nodestatus/setters.go NodeAddress.
    """
    known: list[Obj] = before.get("addresses") or []
    if config.external_cloud and known:
        return known
    return [
        {"type": "InternalIP", "address": config.node_ip},
        {"type": "Hostname", "address": config.node_name},
    ]


def node_status(
    config: KubeletConfig,
    machine: Machine,
    before: Obj,
    health: Health,
    *,
    runtime_version: str,
    images: Sequence[dict[str, Any]],
    now: datetime,
) -> Obj:
    version = config.kubelet_version
    return {
        "capacity": capacity(config, machine),
        "allocatable": allocatable(config, machine),
        "conditions": conditions(before, health, now),
        "addresses": addresses(config, before),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": config.port}},
        "nodeInfo": {
            "machineID": config.machine_id or machine.machine_id,
            "systemUUID": config.system_uuid or config.machine_id or machine.system_uuid,
            "bootID": config.boot_id or machine.boot_id,
            "kernelVersion": machine.kernel,
            "osImage": machine.os_image,
            "containerRuntimeVersion": runtime_version,
            "kubeletVersion": version,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": machine.architecture,
        },
        "images": node_images(images),
        "runtimeHandlers": [
            {"name": "", "features": {"recursiveReadOnlyMounts": False, "userNamespaces": False}}
        ],
        "features": {"supplementalGroupsPolicy": False},
    }


def node_images(images: Sequence[dict[str, Any]]) -> list[Obj]:
    """The largest first, digests before tags."""
    found: list[Obj] = []
    for image in sorted(images, key=lambda i: -int(i.get("size", 0)))[:IMAGES_MAX]:
        names = [*image.get("repo_digests", []), *image.get("repo_tags", [])]
        found.append({"names": names, "sizeBytes": int(image.get("size", 0))})
    return found


def conditions(before: Obj, health: Health, now: datetime) -> list[Obj]:
    """Others' conditions stay; ours follow in upstream's order."""
    short_of_memory = health.memory_available < EVICTION_MEMORY_BYTES
    short_of_disk = (
        health.disk_thousandths < EVICTION_DISK_THOUSANDTHS
        or health.inodes_thousandths < EVICTION_INODES_THOUSANDTHS
    )
    own = [
        _pressure("MemoryPressure", short=short_of_memory),
        _pressure("DiskPressure", short=short_of_disk),
        _pressure("PIDPressure", short=health.pids_short),
        _ready(health),
    ]
    existing: list[Obj] = at(before, "conditions", default=[])
    old = {c["type"]: c for c in existing}
    names = {c["type"] for c in own}
    return [c for c in existing if c["type"] not in names] + [
        _stamped(c, old.get(c["type"]), now) for c in own
    ]


def _pressure(kind: str, *, short: bool) -> Obj:
    fine, bad = _PRESSURES[kind]
    reason, message = bad if short else fine
    return {
        "type": kind,
        "status": "True" if short else "False",
        "reason": reason,
        "message": f"kubelet has {message}",
    }


def _ready(health: Health) -> Obj:
    errors = [e for e in (health.runtime_error, health.network_error) if e]
    if not errors:
        return {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
        }
    text = errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"
    return {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": text}


def _stamped(condition: Obj, before: Obj | None, now: datetime) -> Obj:
    same = before is not None and before.get("status") == condition["status"]
    since = before.get("lastTransitionTime") if before is not None and same else None
    return {
        "type": condition["type"],
        "status": condition["status"],
        "lastHeartbeatTime": rfc3339(now),
        "lastTransitionTime": since or rfc3339(now),
        "reason": condition["reason"],
        "message": condition["message"],
    }


_EVENTS: Final = {
    ("MemoryPressure", "False"): "NodeHasSufficientMemory",
    ("MemoryPressure", "True"): "NodeHasInsufficientMemory",
    ("DiskPressure", "False"): "NodeHasNoDiskPressure",
    ("DiskPressure", "True"): "NodeHasDiskPressure",
    ("PIDPressure", "False"): "NodeHasSufficientPID",
    ("PIDPressure", "True"): "NodeHasInsufficientPID",
    ("Ready", "True"): "NodeReady",
    ("Ready", "False"): "NodeNotReady",
}


def events_of(before: Obj, after: Obj) -> list[str]:
    """Event reasons for conditions that changed."""
    old = {c["type"]: c.get("status") for c in at(before, "conditions", default=[])}
    # A node that was never ready has not lost its readiness.
    old.setdefault("Ready", "False")
    return [
        _EVENTS[c["type"], c["status"]]
        for c in after["conditions"]
        if (c["type"], c["status"]) in _EVENTS and old.get(c["type"]) != c["status"]
    ]


def event_message(node_name: str, reason: str) -> str:
    return f"Node {node_name} status is now: {reason}"


def is_due(before: Obj, after: Obj, last_written: float, now: float) -> bool:
    """Write when something else than a heartbeat changed, or after five minutes."""
    return now - last_written >= REPORT_SECONDS or _without_times(before) != _without_times(after)


REPORT_SECONDS: Final = 300.0  # defaults.go NodeStatusReportFrequency


def _without_times(status: Obj) -> Obj:
    kept = {k: v for k, v in status.items() if k not in ("volumesInUse", "volumesAttached")}
    kept["conditions"] = [
        {k: v for k, v in c.items() if k not in ("lastHeartbeatTime", "lastTransitionTime")}
        for c in at(status, "conditions", default=[])
    ]
    return kept
