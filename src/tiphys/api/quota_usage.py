"""What an object counts against ResourceQuotas: the controller and admission ask the same. Pure.

Upstream: pkg/quota/v1/evaluator/core (pods.go, services.go, persistent_volume_claims.go),
apiserver pkg/quota/v1/generic.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from tiphys.api import quantity
from tiphys.api.meta import Obj, at, is_terminating, metadata, parse_time
from tiphys.api.quantity import Quantity

Usage = dict[str, Quantity]

STORAGE_CLASS_SUFFIX: Final = ".storageclass.storage.k8s.io/"
BETA_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
# Resources of pods that a quota may name without a prefix; requests all.
_PLAIN: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
# Plain names of object counts, and the resource that each counts.
COUNTED: Final = {
    "configmaps": ("", "configmaps"),
    "persistentvolumeclaims": ("", "persistentvolumeclaims"),
    "pods": ("", "pods"),
    "replicationcontrollers": ("", "replicationcontrollers"),
    "resourcequotas": ("", "resourcequotas"),
    "secrets": ("", "secrets"),
    "services": ("", "services"),
}
ONE: Final = quantity.from_value(1)
NONE: Final = quantity.from_value(0)


def resource_of(name: str) -> tuple[str, str]:
    """(group, plural) of the objects that a name of spec.hard is about."""
    if name.startswith("count/"):
        plural, _, group = name.removeprefix("count/").partition(".")
        return group, plural
    if name.startswith("services."):
        return "", "services"
    if STORAGE_CLASS_SUFFIX in name or name == "requests.storage":
        return "", "persistentvolumeclaims"
    return COUNTED.get(name, ("", "pods"))


def count_name(group: str, plural: str) -> str:
    return f"count/{plural}.{group}" if group else f"count/{plural}"


def add(total: Usage, more: Mapping[str, Quantity]) -> None:
    for name, value in more.items():
        total[name] = total[name] + value if name in total else value


def object_usage(obj: Obj, group: str, plural: str, now: datetime) -> Usage:
    """Everything that one object counts."""
    found: Usage = {count_name(group, plural): ONE}
    if not group and plural in COUNTED and plural != "pods":
        found[plural] = ONE
    special = _SPECIAL.get((group, plural))
    if special is not None:
        found |= special(obj, now)
    return found


def _pod(pod: Obj, now: datetime) -> Usage:
    if not counts(pod, now):
        return {}
    found: Usage = {"pods": ONE}
    for kind in ("requests", "limits"):
        for name, value in pod_resources(pod, kind).items():
            if kind == "limits":
                if name in _PLAIN:
                    found[f"limits.{name}"] = value
                continue
            found[f"requests.{name}"] = value
            if name in _PLAIN or name.startswith("hugepages-"):
                found[name] = value
    return found


def counts(pod: Obj, now: datetime) -> bool:
    """Finished pods, and those that should be gone, use nothing. Source: QuotaV1Pod."""
    if at(pod, "status", "phase") in ("Succeeded", "Failed"):
        return False
    grace = metadata(pod).get("deletionGracePeriodSeconds")
    if is_terminating(pod) and grace is not None:
        return now <= parse_time(metadata(pod)["deletionTimestamp"]) + timedelta(seconds=int(grace))
    return True


def pod_resources(pod: Obj, kind: str) -> Usage:
    """requests or limits of a pod: those of its containers, or its own, and its overhead.

    Source: component-helpers/resource PodRequests, PodLimits.
    """
    spec: Obj = pod.get("spec") or {}
    total = container_resources(spec, kind)
    total |= _quantities(spec, kind)
    overhead = {n: quantity.of(v) for n, v in (spec.get("overhead") or {}).items()}
    add(
        total, overhead if kind == "requests" else {n: v for n, v in overhead.items() if n in total}
    )
    return total


def container_resources(spec: Obj, kind: str) -> Usage:
    """Of a pod's spec: containers together, or the greatest init container.

    Source: component-helpers/resource AggregateContainerRequests, AggregateContainerLimits.
    """
    total: Usage = {}
    for container in spec.get("containers") or []:
        add(total, _quantities(container, kind))
    sidecars: Usage = {}
    peak: Usage = {}
    for container in spec.get("initContainers") or []:
        wanted = _quantities(container, kind)
        if container.get("restartPolicy") == "Always":
            add(total, wanted)
            add(sidecars, wanted)
            _raise(peak, sidecars)
        else:
            beside = dict(sidecars)
            add(beside, wanted)
            _raise(peak, beside)
    _raise(total, peak)
    return total


def _quantities(holder: Obj, kind: str) -> Usage:
    given: Mapping[str, Any] = at(holder, "resources", kind, default={})
    return {name: quantity.of(value) for name, value in given.items()}


def _raise(total: Usage, floor: Mapping[str, Quantity]) -> None:
    for name, value in floor.items():
        if name not in total or total[name] < value:
            total[name] = value


def _service(service: Obj, now: datetime) -> Usage:
    del now
    kind = at(service, "spec", "type", default="ClusterIP")
    ports: list[Obj] = at(service, "spec", "ports", default=[])
    node_ports = len(ports) if kind in ("NodePort", "LoadBalancer") else 0
    if kind == "LoadBalancer" and at(service, "spec", "allocateLoadBalancerNodePorts") is False:
        node_ports = sum(1 for p in ports if p.get("nodePort"))
    return {
        "services.nodeports": quantity.from_value(node_ports),
        "services.loadbalancers": ONE if kind == "LoadBalancer" else NONE,
    }


def _claim(claim: Obj, now: datetime) -> Usage:
    del now
    size = quantity.of(at(claim, "spec", "resources", "requests", "storage", default="0"))
    found = {"requests.storage": size}
    notes = metadata(claim).get("annotations") or {}
    name = notes.get(BETA_CLASS) or at(claim, "spec", "storageClassName")
    if name:
        found[f"{name}{STORAGE_CLASS_SUFFIX}requests.storage"] = size
        found[f"{name}{STORAGE_CLASS_SUFFIX}persistentvolumeclaims"] = ONE
    return found


_SPECIAL: Final[Mapping[tuple[str, str], Callable[[Obj, datetime], Usage]]] = {
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("", "persistentvolumeclaims"): _claim,
}


def is_in_scopes(quota: Obj, obj: Obj, plural: str) -> bool:
    """Whether a quota's scopes take an object. Only pods have most of them."""
    terms = [
        {"scopeName": s, "operator": "Exists"} for s in at(quota, "spec", "scopes", default=[])
    ]
    terms += at(quota, "spec", "scopeSelector", "matchExpressions", default=[])
    return all(_in_scope(term, obj, plural) for term in terms)


def _in_scope(term: Obj, obj: Obj, plural: str) -> bool:
    name, spec = term["scopeName"], obj.get("spec") or {}
    if name == "VolumeAttributesClass" and plural == "persistentvolumeclaims":
        return _selects(term, spec.get("volumeAttributesClassName") or "")
    if plural != "pods":
        return False
    if name in ("Terminating", "NotTerminating"):
        ends = spec.get("activeDeadlineSeconds") is not None
        return bool(ends == (name == "Terminating"))
    if name in ("BestEffort", "NotBestEffort"):
        return bool(_is_best_effort(spec) == (name == "BestEffort"))
    if name == "PriorityClass":
        return _selects(term, spec.get("priorityClassName") or "")
    return name == "CrossNamespacePodAffinity" and _crosses_namespaces(spec)


def _selects(term: Obj, value: str) -> bool:
    values = term.get("values") or []
    match term.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "DoesNotExist":
            return not value
    return bool(value)


def _is_best_effort(spec: Obj) -> bool:
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or []), spec]
    return not any(
        name in ("cpu", "memory")
        for container in containers
        for kind in ("requests", "limits")
        for name in at(container, "resources", kind, default={})
    )


def _crosses_namespaces(spec: Obj) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        affinity = at(spec, "affinity", kind, default={})
        terms = list(affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or [])
        preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or []
        terms += [p["podAffinityTerm"] for p in preferred]
        if any(t.get("namespaces") or t.get("namespaceSelector") is not None for t in terms):
            return True
    return False
