"""Questions about a pod's spec that several parts of the kubelet ask.

Upstream: pkg/api/v1/pod/util.go, pkg/kubelet/types, component-helpers resource.
"""

import hashlib
from collections.abc import Iterator
from typing import Final, Literal

from tiphys.api.meta import Obj, at, name_of, namespace_of, uid_of
from tiphys.kubelet import quantities

QOSClass = Literal["Guaranteed", "Burstable", "BestEffort"]
ContainerKind = Literal["init", "main", "ephemeral"]
_LISTS: Final[dict[ContainerKind, str]] = {
    "init": "initContainers",
    "main": "containers",
    "ephemeral": "ephemeralContainers",
}
FIELD_PATHS: Final = _LISTS


def containers_of(pod: Obj, kind: ContainerKind) -> list[Obj]:
    found: list[Obj] = at(pod, "spec", _LISTS[kind], default=[])
    return found


def all_containers(pod: Obj) -> Iterator[tuple[ContainerKind, Obj]]:
    for kind in ("init", "main", "ephemeral"):
        for container in containers_of(pod, kind):
            yield kind, container


def find_container(pod: Obj, name: str) -> tuple[ContainerKind, Obj] | None:
    return next(((k, c) for k, c in all_containers(pod) if c["name"] == name), None)


def field_path(kind: ContainerKind, name: str) -> str:
    """What an event's involvedObject.fieldPath says of a container."""
    return f"spec.{_LISTS[kind]}{{{name}}}"


def is_sidecar(container: Obj) -> bool:
    """An init container that keeps running. Upstream: IsRestartableInitContainer."""
    return container.get("restartPolicy") == "Always"


def sidecars_of(pod: Obj) -> list[Obj]:
    return [c for c in containers_of(pod, "init") if is_sidecar(c)]


def restart_policy(pod: Obj) -> str:
    return str(at(pod, "spec", "restartPolicy", default="Always"))


def is_host_network(pod: Obj) -> bool:
    return bool(at(pod, "spec", "hostNetwork"))


def described(pod: Obj) -> str:
    """`name_namespace(uid)`, as messages have it. Upstream: util/format Pod."""
    return f"{name_of(pod)}_{namespace_of(pod)}({uid_of(pod)})"


def grace_seconds(pod: Obj) -> int:
    """How long a pod may take to end: what its deletion says, else what its spec says."""
    deletion = at(pod, "metadata", "deletionGracePeriodSeconds")
    if deletion is not None and at(pod, "metadata", "deletionTimestamp"):
        return int(deletion)
    return int(at(pod, "spec", "terminationGracePeriodSeconds", default=30))


def container_hash(container: Obj) -> str:
    """Changes when a running container must be replaced. Upstream: HashContainer (name, image)."""
    text = f"{container['name']}\0{container.get('image', '')}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def qos_class(pod: Obj) -> QOSClass:
    """Upstream: pkg/apis/core/v1/helper/qos GetPodQOS; set by the API server when it can."""
    requests: dict[str, int] = {}
    limits: dict[str, int] = {}
    guaranteed = True
    sources = [c for k, c in all_containers(pod) if k != "ephemeral"]
    own = at(pod, "spec", "resources")
    for holder in [{"resources": own}] if own else sources:
        asked = at(holder, "resources", "requests", default={})
        bound = at(holder, "resources", "limits", default={})
        for name in ("cpu", "memory"):
            requests[name] = requests.get(name, 0) + quantities.milli_of(asked, name)
            limits[name] = limits.get(name, 0) + quantities.milli_of(bound, name)
            guaranteed = guaranteed and quantities.milli_of(bound, name) > 0
    if not any(requests.values()) and not any(limits.values()):
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def pod_requests(pod: Obj) -> dict[str, str]:
    """What the whole pod asks for. Upstream: component-helpers resource PodRequests."""
    return _aggregate(pod, "requests") | dict(at(pod, "spec", "resources", "requests", default={}))


def pod_limits(pod: Obj) -> dict[str, str]:
    return _aggregate(pod, "limits") | dict(at(pod, "spec", "resources", "limits", default={}))


def _aggregate(pod: Obj, which: str) -> dict[str, str]:
    """Containers and sidecars together, or the largest init container with the sidecars before."""
    running: dict[str, list[str]] = {}
    peak: dict[str, str] = {}
    for container in containers_of(pod, "init"):
        asked = at(container, "resources", which, default={})
        for name, amount in asked.items():
            if is_sidecar(container):
                running.setdefault(name, []).append(str(amount))
                needed = quantities.total(running[name])
            else:
                needed = quantities.total([*running.get(name, []), str(amount)])
            peak[name] = quantities.larger(needed, peak.get(name, "0"))
    for container in containers_of(pod, "main"):
        for name, amount in at(container, "resources", which, default={}).items():
            running.setdefault(name, []).append(str(amount))
    result = {name: quantities.total(amounts) for name, amounts in running.items()}
    for name, amount in peak.items():
        result[name] = quantities.larger(result.get(name, "0"), amount)
    return result
