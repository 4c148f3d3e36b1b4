"""Which pods of a node may be moved elsewhere. Pure. Upstream: kubectl pkg/drain/filters.go."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tiphys.api.meta import Obj, at, metadata, name_of, namespace_of

_MIRROR: Final = "kubernetes.io/config.mirror"
_DAEMON_SETS: Final = "ignoring DaemonSet-managed Pods"
_UNMANAGED: Final = "deleting Pods that declare no controller"
_LOCAL: Final = "deleting Pods with local storage"
# What stands in the way, and the flag that says that it does not matter.
_NO_DAEMON_SETS: Final = "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"
_NO_UNMANAGED: Final = "cannot delete Pods that declare no controller (use --force to override)"
_NO_LOCAL: Final = "cannot delete Pods with local storage (use --delete-emptydir-data to override)"


@dataclass(frozen=True, slots=True)
class Allowed:
    """The flags of `kubectl drain`."""

    ignore_daemon_sets: bool = False
    delete_empty_dir_data: bool = False
    force: bool = False


@dataclass(slots=True)
class DrainPlan:
    """Pods to move; reasons (with `namespace/name` each) that forbid it, or only warn."""

    pods: list[Obj] = field(default_factory=list)
    errors: dict[str, list[str]] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)


def plan(pods: Iterable[Obj], allowed: Allowed) -> DrainPlan:
    found = DrainPlan()
    for pod in pods:
        if _MIRROR in (metadata(pod).get("annotations") or {}):
            continue  # The kubelet's own; it would come back at once.
        _judge(pod, allowed, found)
    return found


def _judge(pod: Obj, allowed: Allowed, found: DrainPlan) -> None:
    name = f"{namespace_of(pod)}/{name_of(pod)}"
    owner = _controller(pod)
    is_over = at(pod, "status", "phase") in {"Succeeded", "Failed"}
    if owner.get("kind") == "DaemonSet" and not is_over:
        if allowed.ignore_daemon_sets:
            found.warnings.setdefault(_DAEMON_SETS, []).append(name)
        else:
            found.errors.setdefault(_NO_DAEMON_SETS, []).append(name)
        return
    reasons = []
    if not owner and not is_over:
        reasons.append((allowed.force, _UNMANAGED, _NO_UNMANAGED))
    if not is_over and any("emptyDir" in v for v in at(pod, "spec", "volumes", default=[])):
        reasons.append((allowed.delete_empty_dir_data, _LOCAL, _NO_LOCAL))
    for is_allowed, warning, error in reasons:
        if not is_allowed:
            found.errors.setdefault(error, []).append(name)
        elif warning is _UNMANAGED:
            found.warnings.setdefault(warning, []).append(name)
    if all(is_allowed for is_allowed, _, _ in reasons):
        found.pods.append(pod)


def _controller(pod: Obj) -> Obj:
    for owner in metadata(pod).get("ownerReferences") or ():
        if owner.get("controller"):
            found: Obj = owner
            return found
    return {}


def sentence(reasons: dict[str, list[str]]) -> str:
    return "; ".join(f"{reason}: {', '.join(names)}" for reason, names in reasons.items())
