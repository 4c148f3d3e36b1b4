"""Level restricted: pods as they should be written today.

Upstream: pod-security-admission/policy/check_*.go of LevelRestricted.
"""

from collections.abc import Callable
from typing import Final

from tiphys.api.meta import Obj, at
from tiphys.apiserver.pod_security.baseline import PROFILES, added, seccomp
from tiphys.apiserver.pod_security.pods import (
    Violation,
    containers,
    counted,
    has_own_users,
    names,
    quoted,
    setters,
    who,
)

VOLUMES: Final = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
_BIND: Final = frozenset({"NET_BIND_SERVICE"})


def allow_privilege_escalation(pod: Obj) -> Violation | None:
    bad = names(
        c
        for c in containers(pod)
        if at(c, "securityContext", "allowPrivilegeEscalation", default=None) is not False
    )
    if not bad:
        return None
    what = "must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", f"{who(bad)} {what}")


def capabilities(pod: Obj) -> Violation | None:
    undropped = names(
        c
        for c in containers(pod)
        if "ALL" not in (at(c, "securityContext", "capabilities", "drop", default=None) or [])
    )
    found = []
    if undropped:
        found.append(f'{who(undropped)} must set securityContext.capabilities.drop=["ALL"]')
    bad, forbidden = added(pod, _BIND)
    if bad:
        what = f"must not include {quoted(forbidden)} in securityContext.capabilities.add"
        found.append(f"{who(bad)} {what}")
    return Violation("unrestricted capabilities", "; ".join(found)) if found else None


def volumes(pod: Obj) -> Violation | None:
    bad = [
        volume
        for volume in at(pod, "spec", "volumes", default=None) or []
        if all(volume.get(kind) is None for kind in VOLUMES)
    ]
    if not bad:
        return None
    found, kinds = names(bad), sorted({_kind_of(volume) for volume in bad})
    who_uses = f"{counted('volume', 'volumes', bad)} {quoted(found)} {counted('uses', 'use', bad)}"
    what = counted("restricted volume type", "restricted volume types", kinds)
    return Violation("restricted volume types", f"{who_uses} {what} {quoted(kinds)}")


def _kind_of(volume: Obj) -> str:
    """The field that makes it the kind of volume that it is."""
    return next((name for name in volume if name != "name"), "unknown")


def run_as_non_root(pod: Obj) -> Violation | None:
    reason = "runAsNonRoot != true"
    found = setters(pod, lambda context: context.get("runAsNonRoot") is False)
    if found:
        what = "must not set securityContext.runAsNonRoot=false"
        return Violation(reason, f"{' and '.join(found)} {what}")
    bad = _unset(pod, lambda context: context.get("runAsNonRoot") is not None)
    if not bad:
        return None
    return Violation(reason, f"pod or {who(bad)} must set securityContext.runAsNonRoot=true")


def _unset(pod: Obj, is_set: Callable[[Obj], bool]) -> list[str]:
    """Containers for which neither the pod nor they themselves have said it."""
    if is_set(at(pod, "spec", "securityContext", default=None) or {}):
        return []
    return names(c for c in containers(pod) if not is_set(c.get("securityContext") or {}))


def run_as_non_root_1_35(pod: Obj) -> Violation | None:
    return None if has_own_users(pod) else run_as_non_root(pod)


def run_as_user(pod: Obj) -> Violation | None:
    found = setters(pod, lambda context: context.get("runAsUser") == 0)
    if not found:
        return None
    return Violation("runAsUser=0", f"{' and '.join(found)} must not set runAsUser=0")


def run_as_user_1_35(pod: Obj) -> Violation | None:
    return None if has_own_users(pod) else run_as_user(pod)


def seccomp_set(pod: Obj) -> Violation | None:
    """Nobody may say otherwise, and somebody must say it."""
    bad = seccomp(pod)
    if bad is not None:
        return bad
    unset = _unset(pod, lambda context: context.get("seccompProfile") is not None)
    if not unset:
        return None
    choice = " or ".join(f'"{profile}"' for profile in PROFILES)
    what = f"must set securityContext.seccompProfile.type to {choice}"
    return Violation("seccompProfile", f"pod or {who(unset)} {what}")
