"""The conditions of a pod that the kubelet owns.

Upstream: pkg/kubelet/status/generate.go; apimachinery keeps lastTransitionTime until the status
changes (pkg/kubelet/status/status_manager.go updateLastTransitionTime).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from tiphys.api.meta import Obj, at, metadata, rfc3339
from tiphys.kubelet.pod_phase import FAILED, SUCCEEDED
from tiphys.kubelet.pod_spec import containers_of, is_sidecar, sidecars_of

OWNED: Final = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    "PodResizePending",
    "PodResizeInProgress",
)


def pod_conditions(
    pod: Obj,
    phase: str,
    init_statuses: Sequence[Obj],
    statuses: Sequence[Obj],
    *,
    sandbox_ready: bool,
    now: datetime,
) -> list[Obj]:
    """Others' conditions first and unchanged, then ours in upstream's order."""
    existing: list[Obj] = at(pod, "status", "conditions", default=[])
    foreign = [c for c in existing if c.get("type") not in OWNED]
    generation = metadata(pod).get("generation") or 0
    ready_to_start: Obj = {
        "type": "PodReadyToStartContainers",
        "status": "True" if sandbox_ready else "False",
    }
    containers_ready = _containers_ready(pod, phase, [*init_statuses, *statuses])
    own = [
        ready_to_start,
        _initialized(pod, phase, init_statuses, statuses),
        _ready(pod, containers_ready),
        {"type": "ContainersReady", **containers_ready},
        {"type": "PodScheduled", "status": "True"},
    ]
    before = {c["type"]: c for c in existing}
    return foreign + [_stamped(c, before.get(c["type"]), generation, now) for c in own]


def _stamped(condition: Obj, before: Obj | None, generation: int, now: datetime) -> Obj:
    same = before is not None and before.get("status") == condition["status"]
    since = before.get("lastTransitionTime") if before is not None and same else None
    stamped: Obj = {
        "type": condition["type"],
        "status": condition["status"],
        "lastProbeTime": None,
        "lastTransitionTime": since or rfc3339(now),
    }
    if generation:
        stamped["observedGeneration"] = generation
    for name in ("reason", "message"):
        if condition.get(name):
            stamped[name] = condition[name]
    return stamped


def _initialized(
    pod: Obj, phase: str, init_statuses: Sequence[Obj], statuses: Sequence[Obj]
) -> Obj:
    by_name = {s["name"]: s for s in init_statuses}
    unknown, incomplete = [], []
    for container in containers_of(pod, "init"):
        status = by_name.get(container["name"])
        if status is None:
            unknown.append(container["name"])
        elif not status.get("started" if is_sidecar(container) else "ready"):
            incomplete.append(container["name"])
    kind = {"type": "Initialized"}
    if phase == SUCCEEDED and not unknown:
        return {**kind, "status": "True", "reason": "PodCompleted"}
    # A main container has started: the init containers are done, whatever is known of them now.
    if any(_has_started(s) for s in statuses):
        return {**kind, "status": "True"}
    message = _listed(unknown=unknown, incomplete=incomplete)
    if not message:
        return {**kind, "status": "True"}
    return {**kind, "status": "False", "reason": "ContainersNotInitialized", "message": message}


def _has_started(status: Obj) -> bool:
    return (
        "running" in status["state"]
        or bool(at(status, "state", "terminated", "startedAt"))
        or bool(at(status, "lastState", "terminated"))
    )


def _containers_ready(pod: Obj, phase: str, statuses: Sequence[Obj]) -> Obj:
    by_name = {s["name"]: s for s in statuses}
    unknown, unready = [], []
    for container in [*sidecars_of(pod), *containers_of(pod, "main")]:
        status = by_name.get(container["name"])
        if status is None:
            unknown.append(container["name"])
        elif not status.get("ready"):
            unready.append(container["name"])
    if phase == SUCCEEDED and not unknown:
        return {"status": "False", "reason": "PodCompleted"}
    if phase == FAILED:
        return {"status": "False", "reason": "PodFailed"}
    message = _listed(unknown=unknown, unready=unready)
    if message:
        return {"status": "False", "reason": "ContainersNotReady", "message": message}
    return {"status": "True"}


def _ready(pod: Obj, containers_ready: Obj) -> Obj:
    if containers_ready["status"] != "True":
        return {"type": "Ready", **containers_ready}
    found = {c["type"]: c for c in at(pod, "status", "conditions", default=[])}
    missing = []
    for gate in at(pod, "spec", "readinessGates", default=[]):
        kind = gate["conditionType"]
        if kind not in found:
            missing.append(
                f'corresponding condition of pod readiness gate "{kind}" does not exist.'
            )
        elif found[kind].get("status") != "True":
            status = found[kind].get("status")
            missing.append(f'the status of pod readiness gate "{kind}" is not "True", but {status}')
    if missing:
        return {
            "type": "Ready",
            "status": "False",
            "reason": "ReadinessGatesNotReady",
            "message": ", ".join(missing),
        }
    return {"type": "Ready", "status": "True"}


def _listed(**lists: Iterable[str]) -> str:
    parts = [
        f"containers with {kind} status: [{' '.join(names)}]"
        for kind, names in lists.items()
        if names
    ]
    return ", ".join(parts)
