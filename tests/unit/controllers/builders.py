"""Objects that tests of controllers and the scheduler build."""

from typing import Any

from tiphys.api.meta import Obj


def a_pod(
    name: str = "p",
    *,
    node: str = "",
    ready: bool = False,
    phase: str = "",
    labels: dict[str, str] | None = None,
    owner: str = "",
    deleting: bool = False,
    ip: str = "",
    **spec: Any,
) -> Obj:
    metadata: Obj = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
    if labels:
        metadata["labels"] = labels
    if owner:
        metadata["ownerReferences"] = [
            {"kind": "ReplicaSet", "name": owner, "uid": owner, "controller": True}
        ]
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status: Obj = {"phase": phase or ("Running" if ready else "Pending")}
    if ready:
        status["conditions"] = [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        ]
    if ip:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    wanted: Obj = {"containers": [{"name": "c", "image": "i"}]} | spec
    if node:
        wanted["nodeName"] = node
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": wanted,
        "status": status,
    }


def a_replica_set(
    name: str = "rs",
    replicas: int = 1,
    *,
    available: int = 0,
    observed: int | None = None,
    created: str = "2026-01-01T00:00:00Z",
    image: str = "i",
    annotations: dict[str, str] | None = None,
) -> Obj:
    status: Obj = {"replicas": replicas if observed is None else observed}
    if available:
        status |= {"availableReplicas": available, "readyReplicas": available}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": name,
            "creationTimestamp": created,
            "annotations": annotations or {},
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "x"}},
            "template": {
                "metadata": {"labels": {"app": "x", "pod-template-hash": name}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
        "status": status,
    }


def a_deployment(
    replicas: int = 3,
    *,
    surge: Any = "25%",
    unavailable: Any = "25%",
    image: str = "i",
    recreate: bool = False,
) -> Obj:
    strategy: Obj = {"type": "Recreate"}
    if not recreate:
        strategy = {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
        }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "uid": "web", "generation": 1},
        "spec": {
            "replicas": replicas,
            "strategy": strategy,
            "selector": {"matchLabels": {"app": "x"}},
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
            "template": {
                "metadata": {"labels": {"app": "x"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    }


def a_node(name: str = "n1", *, labels: dict[str, str] | None = None, **spec: Any) -> Obj:
    resources = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": spec,
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
