"""A Deployment's status and conditions. Pure. Upstream: deployment/progress.go, sync.go."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from tiphys.api.meta import Obj, at, condition, name_of, parse_time, rfc3339
from tiphys.controllers import rollout


def counted(deployment: Obj, sets: Sequence[Obj], new: Obj | None) -> Obj:
    """The numbers of the status and the Available condition; progress comes after."""
    whole = rollout.total(sets)
    available = sum(rollout.available(rs) for rs in sets)
    counts = {
        "replicas": sum(rollout.observed(rs) for rs in sets),
        "updatedReplicas": rollout.observed(new) if new is not None else 0,
        "readyReplicas": sum(int(at(rs, "status", "readyReplicas", default=0)) for rs in sets),
        "availableReplicas": available,
        "unavailableReplicas": max(whole - available, 0),
    }
    status: Obj = {"observedGeneration": int(at(deployment, "metadata", "generation", default=0))}
    status |= {k: v for k, v in counts.items() if v}
    if (collisions := at(deployment, "status", "collisionCount")) is not None:
        status["collisionCount"] = collisions
    terminating = [at(rs, "status", "terminatingReplicas") for rs in sets]
    if all(t is not None for t in terminating):
        status["terminatingReplicas"] = sum(terminating)
    status["conditions"] = list(at(deployment, "status", "conditions", default=[]))
    return status


def with_available(status: Obj, deployment: Obj, now: datetime) -> Obj:
    wanted = rollout.replicas(deployment) - rollout.max_unavailable(deployment)
    if int(status.get("availableReplicas", 0)) >= wanted:
        text = "Deployment has minimum availability."
        return with_condition(status, "Available", "True", "MinimumReplicasAvailable", text, now)
    text = "Deployment does not have minimum availability."
    return with_condition(status, "Available", "False", "MinimumReplicasUnavailable", text, now)


def is_complete(deployment: Obj, status: Obj) -> bool:
    count = rollout.replicas(deployment)
    return (
        int(status.get("updatedReplicas", 0)) == count
        and int(status.get("replicas", 0)) == count
        and int(status.get("availableReplicas", 0)) == count
        and int(status.get("observedGeneration", 0))
        >= int(at(deployment, "metadata", "generation", default=0))
    )


def is_progressing(deployment: Obj, status: Obj) -> bool:
    """Whether something moved since the status that the object shows."""
    old: Obj = deployment.get("status") or {}

    def number(of: Obj, name: str) -> int:
        return int(of.get(name, 0))

    new_left = number(status, "replicas") - number(status, "updatedReplicas")
    old_left = number(old, "replicas") - number(old, "updatedReplicas")
    return (
        number(status, "updatedReplicas") > number(old, "updatedReplicas")
        or new_left < old_left
        or number(status, "readyReplicas") > number(old, "readyReplicas")
        or number(status, "availableReplicas") > number(old, "availableReplicas")
    )


def has_deadline(deployment: Obj) -> bool:
    seconds = at(deployment, "spec", "progressDeadlineSeconds")
    return seconds is not None and seconds != rollout.NO_DEADLINE


def is_timed_out(deployment: Obj, status: Obj, now: datetime) -> bool:
    progressing = condition({"status": status}, "Progressing")
    if progressing is None or not has_deadline(deployment):
        return False
    reason = progressing.get("reason")
    if reason == "NewReplicaSetAvailable":
        return False
    if reason == "ProgressDeadlineExceeded":
        return True
    since = parse_time(progressing.get("lastUpdateTime") or rfc3339(now))
    deadline = timedelta(seconds=int(deployment["spec"]["progressDeadlineSeconds"]))
    return since + deadline < now


def with_progress(status: Obj, deployment: Obj, new: Obj | None, now: datetime) -> Obj:
    """The Progressing condition. Source: syncRolloutStatus."""
    if not has_deadline(deployment):
        return without_condition(status, "Progressing")
    current = condition({"status": status}, "Progressing")
    settled = (
        int(status.get("replicas", 0)) == int(status.get("updatedReplicas", 0))
        and current is not None
        and current.get("reason") == "NewReplicaSetAvailable"
    )
    if settled:
        return status
    who = f'ReplicaSet "{name_of(new)}"' if new else f'Deployment "{name_of(deployment)}"'
    if is_complete(deployment, status):
        text = f"{who} has successfully progressed."
        return with_condition(status, "Progressing", "True", "NewReplicaSetAvailable", text, now)
    if is_progressing(deployment, status):
        text = f"{who} is progressing."
        return with_condition(
            status, "Progressing", "True", "ReplicaSetUpdated", text, now, renew=True
        )
    if is_timed_out(deployment, status, now):
        text = f"{who} has timed out progressing."
        return with_condition(status, "Progressing", "False", "ProgressDeadlineExceeded", text, now)
    return status


def with_failure(status: Obj, sets: Sequence[Obj], new: Obj | None) -> Obj:
    """A ReplicaSet that cannot create pods shows in its Deployment."""
    ordered = [*([new] if new else []), *[s for s in sets if s is not new]]
    failures = [c for rs in ordered if (c := condition(rs, "ReplicaFailure")) is not None]
    if not failures:
        return without_condition(status, "ReplicaFailure")
    failure = failures[0]
    copied = {
        "type": "ReplicaFailure",
        "status": failure.get("status"),
        "lastUpdateTime": failure.get("lastTransitionTime"),
        "lastTransitionTime": failure.get("lastTransitionTime"),
        "reason": failure.get("reason"),
        "message": failure.get("message"),
    }
    others = [c for c in status["conditions"] if c["type"] != "ReplicaFailure"]
    return {**status, "conditions": [*others, copied]}


def with_condition(
    status: Obj,
    kind: str,
    value: str,
    reason: str,
    message: str,
    now: datetime,
    *,
    renew: bool = False,
) -> Obj:
    """Set a condition; one that says the same already is left alone unless renew."""
    conditions: list[Obj] = status.get("conditions") or []
    current = next((c for c in conditions if c["type"] == kind), None)
    if (
        current is not None
        and not renew
        and current["status"] == value
        and current.get("reason") == reason
    ):
        return status
    changed = rfc3339(now)
    if current is not None and current["status"] == value:
        changed = current.get("lastTransitionTime") or changed
    added = {
        "type": kind,
        "status": value,
        "lastUpdateTime": rfc3339(now),
        "lastTransitionTime": changed,
        "reason": reason,
        "message": message,
    }
    return {**status, "conditions": [*(c for c in conditions if c["type"] != kind), added]}


def without_condition(status: Obj, kind: str) -> Obj:
    conditions = [c for c in status.get("conditions") or [] if c["type"] != kind]
    return {**status, "conditions": conditions}


def seconds_to_deadline(deployment: Obj, status: Obj, now: datetime) -> float | None:
    """When to look again whether progress stalled. Source: requeueStuckDeployment."""
    progressing = condition({"status": status}, "Progressing")
    if progressing is None or not has_deadline(deployment) or is_complete(deployment, status):
        return None
    if progressing.get("reason") in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        return None
    since = parse_time(progressing["lastUpdateTime"])
    deadline = timedelta(seconds=int(deployment["spec"]["progressDeadlineSeconds"]))
    return max((since + deadline - now).total_seconds() + 1.0, 0.0)
