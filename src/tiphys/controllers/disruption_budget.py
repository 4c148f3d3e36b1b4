"""How many pods of a PodDisruptionBudget may go now. Pure.

Upstream: pkg/controller/disruption/disruption.go trySync, pkg/apis/policy pdbhelper.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tiphys.api.meta import (
    Obj,
    at,
    condition,
    is_terminating,
    name_of,
    parse_time,
    rfc3339,
)
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.rollout import scaled

DELETION_TIMEOUT = timedelta(minutes=2)  # An eviction that has not deleted its pod by then failed.
STALE_CONDITION = timedelta(minutes=2)  # stalePodDisruptionTimeout
CONDITION = "DisruptionAllowed"


class Disrupted(NamedTuple):
    """Evictions under way: pod -> when; pods that should be gone; seconds until one times out."""

    pods: dict[str, str]
    overdue: list[Obj]
    again_seconds: float | None


def disrupted(budget: Obj, selected: Sequence[Obj], now: datetime) -> Disrupted:
    """Source: buildDisruptedPodMap."""
    noted: Mapping[str, str] = at(budget, "status", "disruptedPods", default={})
    found: dict[str, str] = {}
    overdue: list[Obj] = []
    again: list[float] = []
    for pod in selected:
        since = noted.get(name_of(pod))
        if since is None or is_terminating(pod):
            continue
        left = (parse_time(since) + DELETION_TIMEOUT - now).total_seconds()
        if left < 0:
            overdue.append(pod)
        else:
            found[name_of(pod)] = since
            again.append(left)
    return Disrupted(found, overdue, min(again, default=None))


def healthy_count(selected: Sequence[Obj], going: Mapping[str, str]) -> int:
    return sum(
        1
        for pod in selected
        if not is_terminating(pod) and name_of(pod) not in going and pod_facts.is_ready(pod)
    )


def needs_scale(budget: Obj) -> bool:
    """Whether the expected count is what controllers ask for, not what is there."""
    if at(budget, "spec", "maxUnavailable") is not None:
        return True
    return isinstance(at(budget, "spec", "minAvailable"), str)


def desired_healthy(budget: Obj, expected: int) -> int:
    unavailable = at(budget, "spec", "maxUnavailable")
    if unavailable is not None:
        return max(expected - scaled(unavailable, expected, round_up=True), 0)
    return scaled(at(budget, "spec", "minAvailable", default=0), expected, round_up=True)


def status_of(
    budget: Obj, *, healthy: int, expected: int, going: Mapping[str, str], now: datetime
) -> Obj:
    desired = desired_healthy(budget, expected)
    allowed = max(healthy - desired, 0) if expected > 0 else 0
    status: Obj = {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "disruptionsAllowed": allowed,
        "observedGeneration": int(at(budget, "metadata", "generation", default=0)),
    }
    if going:
        status["disruptedPods"] = dict(going)
    reason = "SufficientPods" if allowed else "InsufficientPods"
    status["conditions"] = with_condition(
        budget, allowed > 0, reason, "", status["observedGeneration"], now
    )
    return status


def with_condition(
    budget: Obj, value: bool, reason: str, message: str, generation: int, now: datetime
) -> list[Obj]:
    """The conditions with DisruptionAllowed as given; its time changes with its status."""
    old = condition(budget, CONDITION)
    same = old is not None and old.get("status") == str(value)
    wanted = {
        "type": CONDITION,
        "status": str(value),
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": old["lastTransitionTime"] if same and old else rfc3339(now),
    }
    conditions: Sequence[Obj] = at(budget, "status", "conditions", default=[])
    if old is None:
        return [*conditions, wanted]
    return [wanted if c.get("type") == CONDITION else c for c in conditions]


def failed_status(budget: Obj, message: str, now: datetime) -> Obj:
    """Nothing may go while it is not known what may. Source: failSafe."""
    status = dict(budget.get("status") or {})
    generation = int(status.get("observedGeneration", 0))
    status["disruptionsAllowed"] = 0
    status["conditions"] = with_condition(budget, False, "SyncFailed", message, generation, now)
    return status


def seconds_to_stale(pod: Obj, now: datetime) -> float | None:
    """Until a DisruptionTarget of a pod that was not deleted is taken back; None = not at all."""
    found = condition(pod, "DisruptionTarget")
    if is_terminating(pod) or pod_facts.is_finished(pod) or found is None:
        return None
    if found.get("status") != "True" or found.get("reason") == "TerminationByKubelet":
        return None
    since = parse_time(found.get("lastTransitionTime") or rfc3339(now))
    return max((since + STALE_CONDITION - now).total_seconds(), 0.0)
