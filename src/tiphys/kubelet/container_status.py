"""The containerStatuses of a pod, from its spec, the runtime and what was reported before.

Upstream: pkg/kubelet/kubelet_pods.go (convertToAPIContainerStatuses), prober_manager.go
(UpdatePodStatus).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tiphys.api.meta import Obj, at, rfc3339
from tiphys.kubelet.pod_spec import ContainerKind, containers_of, is_sidecar
from tiphys.kubelet.restart import init_container_restarts, should_start
from tiphys.kubelet.runtime_state import PodRuntime, RuntimeContainer, moment
from tiphys.kubelet.sync_plan import NO_RESULTS, ProbeResults

STATUS_UNKNOWN: Final = "ContainerStatusUnknown"
LOST_AT_END: Final = "The container could not be located when the pod was terminated"
LOST: Final = (
    "The container could not be located when the pod was deleted.  The container used to be Running"
)
LOST_EXIT_CODE: Final = 137
STATUS_FIELDS: Final[dict[ContainerKind, str]] = {
    "init": "initContainerStatuses",
    "main": "containerStatuses",
    "ephemeral": "ephemeralContainerStatuses",
}
Message = Callable[[RuntimeContainer], str]


@dataclass(frozen=True, slots=True)
class Observed:
    """What statuses are made from besides the spec."""

    runtime: PodRuntime
    runtime_name: str
    waiting: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Reason and message why a container could not be started, by its name."""
    results: ProbeResults = NO_RESULTS
    message: Message = lambda container: container.message
    """The termination message of an ended container."""


def container_statuses(pod: Obj, kind: ContainerKind, before: Obj, observed: Observed) -> list[Obj]:
    """Statuses of one list of containers; `before` is the pod status reported last."""
    old = {s["name"]: s for s in before.get(STATUS_FIELDS[kind]) or []}
    statuses = []
    for container in containers_of(pod, kind):
        status = _status(pod, kind, container, old.get(container["name"]), observed)
        statuses.append(_with_probes(kind, container, status, observed))
    return statuses if kind == "init" else sorted(statuses, key=lambda s: str(s["name"]))


def _status(
    pod: Obj, kind: ContainerKind, container: Obj, old: Obj | None, observed: Observed
) -> Obj:
    instances = observed.runtime.instances(container["name"])
    if instances:
        status = _converted(container, instances[0], observed)
        if len(instances) > 1:
            status["lastState"] = _state(instances[1], observed)
        elif old is not None and instances[0].restart_count:
            status["lastState"] = _known_end(old, instances[0].restart_count)
    else:
        status = _without_instance(pod, container, old)
    reason = observed.waiting.get(container["name"])
    if reason is not None and _waits(pod, kind, container, observed.runtime):
        if "terminated" in status["state"]:
            status["lastState"] = status["state"]
        waiting: Obj = {"reason": reason[0]} | ({"message": reason[1]} if reason[1] else {})
        status["state"] = {"waiting": waiting}
    return status


def _known_end(old: Obj, restart_count: int) -> Obj:
    """What was reported of the instance before this one, when the runtime has it no more."""
    if old.get("restartCount") == restart_count:
        found: Obj = old.get("lastState") or {}
    else:
        found = old.get("state") or {}
    return found if "terminated" in found else {}


def _waits(pod: Obj, kind: ContainerKind, container: Obj, runtime: PodRuntime) -> bool:
    newest = runtime.newest(container["name"])
    if kind == "init" and newest is not None and newest.state == "exited":
        if at(pod, "metadata", "deletionTimestamp"):
            return False
        return init_container_restarts(pod, container, newest.exit_code)
    return should_start(pod, container, runtime)


def _converted(container: Obj, instance: RuntimeContainer, observed: Observed) -> Obj:
    status: Obj = {
        "name": instance.name,
        "state": _state(instance, observed),
        "lastState": {},
        "ready": False,
        "restartCount": instance.restart_count,
        "image": instance.image,
        "imageID": instance.image_ref,
        "containerID": f"{observed.runtime_name}://{instance.id}",
    }
    resources = at(container, "resources", default={})
    requests = resources.get("requests")
    if requests:
        status["allocatedResources"] = dict(requests)
    status["resources"] = {k: v for k, v in resources.items() if v and k != "claims"}
    if instance.user is not None:
        status["user"] = {"linux": _user(instance.user)}
    return status | _volume_mounts(container)


def _user(user: Mapping[str, Any]) -> Obj:
    shown: Obj = {"uid": user.get("uid", 0), "gid": user.get("gid", 0)}
    groups = sorted(user.get("supplemental_groups") or [])
    return shown | ({"supplementalGroups": groups} if groups else {})


def _volume_mounts(container: Obj) -> Obj:
    mounts = []
    for mount in container.get("volumeMounts") or []:
        shown: Obj = {"name": mount["name"], "mountPath": mount["mountPath"]}
        if mount.get("readOnly"):
            shown |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
        mounts.append(shown)
    return {"volumeMounts": mounts} if mounts else {}


def _state(instance: RuntimeContainer, observed: Observed) -> Obj:
    if instance.state == "running":
        return {"running": {"startedAt": rfc3339(moment(instance.started_at))}}
    if instance.state != "exited":
        return {"waiting": {}}
    ended: Obj = {
        "exitCode": instance.exit_code,
        "startedAt": rfc3339(moment(instance.started_at)),
        "finishedAt": rfc3339(moment(instance.finished_at)),
        "containerID": f"{observed.runtime_name}://{instance.id}",
    }
    ended["reason"] = instance.reason or ("Completed" if instance.exit_code == 0 else "Error")
    if message := observed.message(instance):
        ended["message"] = message
    return {"terminated": ended}


def _without_instance(pod: Obj, container: Obj, old: Obj | None) -> Obj:
    """A container that the runtime does not know: not made yet, or removed behind our back."""
    if old is not None and "terminated" in old.get("state", {}):
        return dict(old)
    reason = "PodInitializing" if containers_of(pod, "init") else "ContainerCreating"
    status: Obj = {
        "name": container["name"],
        "state": {"waiting": {"reason": reason}},
        "lastState": {},
        "ready": False,
        "restartCount": 0,
        "image": container.get("image", ""),
        "imageID": "",
    }
    if old is not None:
        status["restartCount"] = old.get("restartCount", 0)
        status["lastState"] = old.get("lastState") or {}
        if "running" in old.get("state", {}):
            status["lastState"] = {"terminated": lost(LOST)}
            status["restartCount"] += 1
    return status | _volume_mounts(container)


def lost(message: str) -> Obj:
    return {
        "exitCode": LOST_EXIT_CODE,
        "reason": STATUS_UNKNOWN,
        "message": message,
        "startedAt": None,
        "finishedAt": None,
    }


def _with_probes(kind: ContainerKind, container: Obj, status: Obj, observed: Observed) -> Obj:
    """Add `started` and `ready`, which depend on probes."""
    newest = observed.runtime.newest(container["name"])
    is_running = "running" in status["state"]
    if kind == "ephemeral":
        return status | {"ready": False}
    started = is_running and newest is not None
    if started and newest is not None and container.get("startupProbe"):
        started = observed.results.startup.get(newest.id) == "success"
    status = status | {"started": started, "ready": False}
    if kind == "init" and not is_sidecar(container):
        status["ready"] = at(status, "state", "terminated", "exitCode") == 0
    elif started and newest is not None:
        result = observed.results.readiness.get(newest.id)
        status["ready"] = result == "success" if container.get("readinessProbe") else True
    return status


def with_lost_containers_ended(status: Obj, pod: Obj) -> Obj:
    """The final status of a pod: what never ended is said to have failed.

    Upstream: status_manager.go TerminatePod.
    """
    final = dict(status)
    init: Sequence[Obj] = status.get("initContainerStatuses") or []
    if _initialized(status):
        for name in ("containerStatuses", "ephemeralContainerStatuses"):
            if name in final:
                final[name] = [_ended(s) for s in final[name]]
    begun = next((i for i in range(len(init), 0, -1) if _has_begun(init[i - 1])), 0)
    if init:
        final["initContainerStatuses"] = [_ended(s) if i < begun else s for i, s in enumerate(init)]
    if final.get("phase") not in ("Succeeded", "Failed"):
        final["phase"] = "Failed"
    return final


def _initialized(status: Obj) -> bool:
    init: Sequence[Obj] = status.get("initContainerStatuses") or []
    if not init:
        return True
    mains: Sequence[Obj] = status.get("containerStatuses") or []
    if any(
        at(s, "lastState", "terminated")
        or at(s, "state", "waiting", "reason", default="") != "PodInitializing"
        for s in mains
    ):
        return True
    return bool(at(init[-1], "state", "terminated", "exitCode") == 0)


def _has_begun(status: Obj) -> bool:
    return bool(at(status, "lastState", "terminated")) or "waiting" not in status["state"]


def _ended(status: Obj) -> Obj:
    if "terminated" in status["state"]:
        return status
    return status | {"state": {"terminated": lost(LOST_AT_END)}}
