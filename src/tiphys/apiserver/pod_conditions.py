"""Conditions of pods that subresources set. Upstream: pkg/api/pod/util.go (UpdatePodCondition)."""

from tiphys.api.meta import Obj, condition


def with_condition(pod: Obj, new: Obj, now: str) -> Obj:
    """The pod's status with the condition in its place; a status that stays keeps its time."""
    status = dict(pod.get("status") or {})
    before = condition(pod, new["type"])
    made = {"lastProbeTime": None, "lastTransitionTime": now} | new
    if before is not None and before.get("status") == new["status"]:
        made["lastTransitionTime"] = before.get("lastTransitionTime")
    found = status.get("conditions") or []
    if before is None:
        return status | {"conditions": [*found, made]}
    return status | {"conditions": [made if c is before else c for c in found]}
