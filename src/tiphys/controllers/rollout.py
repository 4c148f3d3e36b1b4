"""A Deployment's decisions: which ReplicaSet is new, how many replicas each may have. Pure.

Upstream: pkg/controller/deployment/util/deployment_util.go, rolling.go, recreate.go, sync.go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiphys.api.meta import Obj, annotations_of, at, labels_of, name_of
from tiphys.api.percentage import percentage
from tiphys.controllers import owners

REVISION: Final = "deployment.kubernetes.io/revision"
REVISION_HISTORY: Final = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS: Final = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS: Final = "deployment.kubernetes.io/max-replicas"
HASH_LABEL: Final = "pod-template-hash"
NO_DEADLINE: Final = 2**31 - 1  # progressDeadlineSeconds that means none.
# Annotations of a Deployment that its ReplicaSets do not get.
NOT_COPIED: Final = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    }
)


def replicas(obj: Obj) -> int:
    return int(at(obj, "spec", "replicas", default=1))


def available(rs: Obj) -> int:
    return int(at(rs, "status", "availableReplicas", default=0))


def observed(rs: Obj) -> int:
    return int(at(rs, "status", "replicas", default=0))


def total(sets: Sequence[Obj]) -> int:
    return sum(replicas(rs) for rs in sets)


def is_rolling(deployment: Obj) -> bool:
    return bool(at(deployment, "spec", "strategy", "type", default="RollingUpdate") != "Recreate")


def is_paused(deployment: Obj) -> bool:
    return bool(at(deployment, "spec", "paused", default=False))


def template_without_hash(template: Obj) -> Obj:
    """A template as the user wrote it, to compare by."""
    metadata: Obj = dict(template.get("metadata") or {})
    metadata["labels"] = {
        k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL
    }
    metadata.pop("creationTimestamp", None)
    return {**template, "metadata": {k: v for k, v in metadata.items() if v}}


def new_replica_set(deployment: Obj, sets: Sequence[Obj]) -> Obj | None:
    """The oldest ReplicaSet with the Deployment's template."""
    wanted = template_without_hash(at(deployment, "spec", "template", default={}))
    for rs in sorted(sets, key=lambda s: (owners.created_at(s), name_of(s))):
        if template_without_hash(at(rs, "spec", "template", default={})) == wanted:
            return rs
    return None


def revision(obj: Obj) -> int:
    try:
        return int(annotations_of(obj).get(REVISION, "0"))
    except ValueError:
        return 0


def scaled(value: Any, whole: int, *, round_up: bool) -> int:
    """An int or a percentage of whole. Source: intstr.GetScaledValueFromIntOrPercent."""
    if isinstance(value, str) and value.endswith("%"):
        product = percentage(value) * whole
        return -(-product // 100) if round_up else product // 100
    return int(value or 0)


def surge_and_unavailable(deployment: Obj) -> tuple[int, int]:
    """maxSurge and maxUnavailable as counts; both zero would never move, so one may be missing.

    Source: ResolveFenceposts.
    """
    rolling = at(deployment, "spec", "strategy", "rollingUpdate", default={})
    count = replicas(deployment)
    surge = scaled(rolling.get("maxSurge", 0), count, round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable", 0), count, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, unavailable


def max_surge(deployment: Obj) -> int:
    return surge_and_unavailable(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Obj) -> int:
    count = replicas(deployment)
    if not is_rolling(deployment) or count == 0:
        return 0
    return min(surge_and_unavailable(deployment)[1], count)


def new_replicas(deployment: Obj, sets: Sequence[Obj], new: Obj | None) -> int:
    """How many replicas the new ReplicaSet may have now. Source: NewRSNewReplicas."""
    count = replicas(deployment)
    if not is_rolling(deployment):
        return count
    limit = count + max_surge(deployment)
    current = total(sets)
    have = replicas(new) if new is not None else 0
    if current >= limit:
        return have
    return have + min(limit - current, count - have)


def rs_annotations(deployment: Obj, rs: Obj | None, number: int) -> dict[str, str]:
    """The annotations of the new ReplicaSet. Source: SetNewReplicaSetAnnotations."""
    have = dict(annotations_of(rs)) if rs is not None else {}
    for key, value in annotations_of(deployment).items():
        if key not in NOT_COPIED:
            have[key] = value
    old = have.get(REVISION)
    if old is None or (old.isdigit() and int(old) < number):
        have[REVISION] = str(number)
        if rs is not None and old is not None:
            past = have.get(REVISION_HISTORY, "")
            have[REVISION_HISTORY] = f"{past},{old}" if past else old
    return have


def replica_annotations(count: int, limit: int) -> dict[str, str]:
    return {DESIRED_REPLICAS: str(count), MAX_REPLICAS: str(limit)}


def was_scaled(deployment: Obj, sets: Sequence[Obj]) -> bool:
    """Whether spec.replicas changed since an active ReplicaSet was last sized."""
    for rs in sets:
        noted = annotations_of(rs).get(DESIRED_REPLICAS)
        if replicas(rs) > 0 and noted is not None and noted != str(replicas(deployment)):
            return True
    return False


def proportions(deployment: Obj, active: Sequence[Obj]) -> dict[str, int]:
    """New sizes by name when a Deployment in the middle of a rollout is scaled.

    Each ReplicaSet grows or shrinks with its share; what rounding leaves goes to the largest.
    Source: sync.go scale, GetReplicaSetProportion.
    """
    count = replicas(deployment)
    limit = count + max_surge(deployment) if count > 0 else 0
    whole = total(active)
    to_add = limit - whole
    growing = to_add > 0
    ordered = sorted(
        active,
        key=lambda rs: (-replicas(rs), owners.created_at(rs) if not growing else ""),
    )
    if growing:
        ordered = sorted(
            sorted(active, key=owners.created_at, reverse=True), key=lambda rs: -replicas(rs)
        )
    sizes: dict[str, int] = {}
    added = 0
    for rs in ordered:
        share = _share(deployment, rs, limit, to_add, added) if to_add else 0
        sizes[name_of(rs)] = replicas(rs) + share
        added += share
    if ordered:
        first = name_of(ordered[0])
        sizes[first] = max(sizes[first] + to_add - added, 0)
    return sizes


def _share(deployment: Obj, rs: Obj, limit: int, to_add: int, added: int) -> int:
    have = replicas(rs)
    if have == 0:
        return 0
    noted = annotations_of(rs).get(MAX_REPLICAS, "")
    before = int(noted) if noted.isdigit() and int(noted) > 0 else 0
    if before == 0:
        before = int(at(deployment, "status", "replicas", default=0)) or limit
    wanted = _round(have * limit / before) - have
    allowed = to_add - added
    return min(wanted, allowed) if to_add > 0 else max(wanted, allowed)


def _round(value: float) -> int:
    return int(value - 0.5) if value < 0 else int(value + 0.5)


@dataclass(frozen=True, slots=True)
class Scale:
    rs: Obj
    count: int


def scale_down_old(
    deployment: Obj, sets: Sequence[Obj], old: Sequence[Obj], new: Obj
) -> list[Scale]:
    """Which old ReplicaSets to shrink now. Source: rolling.go reconcileOldReplicaSets."""
    if total(old) == 0:
        return []
    floor = replicas(deployment) - max_unavailable(deployment)
    new_unavailable = replicas(new) - available(new)
    budget = total(sets) - floor - new_unavailable
    if budget <= 0:
        return []
    sizes = {name_of(rs): replicas(rs) for rs in old}
    ordered = sorted(old, key=owners.created_at)
    _clean_unhealthy(ordered, sizes, budget)
    _shrink_available(deployment, sets, ordered, sizes)
    return [Scale(rs, sizes[name_of(rs)]) for rs in ordered if sizes[name_of(rs)] != replicas(rs)]


def _clean_unhealthy(ordered: Sequence[Obj], sizes: dict[str, int], budget: int) -> None:
    """Replicas that are not available go first."""
    cleaned = 0
    for rs in ordered:
        if cleaned >= budget:
            return
        have = sizes[name_of(rs)]
        if have == 0 or have == available(rs):
            continue
        step = min(budget - cleaned, max(have - available(rs), 0))
        sizes[name_of(rs)] = have - step
        cleaned += step


def _shrink_available(
    deployment: Obj, sets: Sequence[Obj], ordered: Sequence[Obj], sizes: dict[str, int]
) -> None:
    """Then as many as leave enough available ones."""
    floor = replicas(deployment) - max_unavailable(deployment)
    left = sum(available(rs) for rs in sets) - floor
    for rs in ordered:
        if left <= 0:
            return
        have = sizes[name_of(rs)]
        step = min(have, left)
        sizes[name_of(rs)] = have - step
        left -= step


def to_clean_up(deployment: Obj, old: Sequence[Obj]) -> list[Obj]:
    """Old ReplicaSets beyond the history limit that are empty and settled."""
    limit = at(deployment, "spec", "revisionHistoryLimit")
    if limit is None or limit == NO_DEADLINE:
        return []
    alive = [rs for rs in old if not at(rs, "metadata", "deletionTimestamp")]
    surplus = len(alive) - int(limit)
    if surplus <= 0:
        return []
    oldest = sorted(alive, key=lambda rs: (revision(rs), owners.created_at(rs)))[:surplus]
    return [
        rs
        for rs in oldest
        if observed(rs) == 0
        and replicas(rs) == 0
        and at(rs, "metadata", "generation", default=0)
        <= at(rs, "status", "observedGeneration", default=0)
    ]


def labels_with_hash(labels: Mapping[str, str], value: str) -> dict[str, str]:
    return {**labels, HASH_LABEL: value}


def template_labels(deployment: Obj) -> dict[str, str]:
    return labels_of(at(deployment, "spec", "template", default={}))
