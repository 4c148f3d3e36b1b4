"""What a StatefulSet's sync creates and deletes, in which order, and the status. Pure.

Upstream: pkg/controller/statefulset/stateful_set_control.go updateStatefulSet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tiphys.api.meta import Obj, at, is_terminating, name_of
from tiphys.controllers import pods
from tiphys.controllers import stateful_identity as identity


@dataclass(frozen=True, slots=True)
class Revisions:
    """current: what pods had before the update; update: the present template's."""

    current: Obj
    update: Obj


@dataclass(slots=True)
class Plan:
    """kept: pods whose identity and claims are to be looked at; they are there already."""

    create: list[Obj] = field(default_factory=list)
    delete: list[Obj] = field(default_factory=list)
    kept: list[Obj] = field(default_factory=list)
    condemned: list[Obj] = field(default_factory=list)
    updating: bool = False  # The deletion is the update's: one pod of the old revision less.


def is_created(pod: Obj) -> bool:
    return pods.phase(pod) != ""


def is_ready(pod: Obj) -> bool:
    return pods.phase(pod) == "Running" and pods.is_ready(pod)


def may_burst(stateful_set: Obj) -> bool:
    return bool(at(stateful_set, "spec", "podManagementPolicy") == "Parallel")


def _min_ready(stateful_set: Obj) -> int:
    return int(at(stateful_set, "spec", "minReadySeconds", default=0))


def is_available(stateful_set: Obj, pod: Obj, now: datetime) -> bool:
    return is_ready(pod) and pods.is_available(pod, _min_ready(stateful_set), now)


def is_unavailable(stateful_set: Obj, pod: Obj, now: datetime) -> bool:
    return is_terminating(pod) or not is_available(stateful_set, pod, now)


def partition_of(stateful_set: Obj) -> int:
    rolling = at(stateful_set, "spec", "updateStrategy", "rollingUpdate", default={})
    return int(rolling.get("partition") or 0)


def is_rolling(stateful_set: Obj) -> bool:
    return bool(at(stateful_set, "spec", "updateStrategy", "type") == "RollingUpdate")


def needs_current(stateful_set: Obj, ordinal: int) -> bool:
    """Whether a pod that is made now gets the revision of before the update."""
    if not is_rolling(stateful_set):
        return False
    index = ordinal - identity.start_of(stateful_set)
    if at(stateful_set, "spec", "updateStrategy", "rollingUpdate") is None:
        return index < int(at(stateful_set, "status", "currentReplicas", default=0))
    return index < partition_of(stateful_set)


def plan(stateful_set: Obj, mine: Sequence[Obj], revisions: Revisions, now: datetime) -> Plan:
    """What one sync changes. OrderedReady: the first thing in the way ends it."""
    found = Plan()
    replicas = _replicas(stateful_set, mine, revisions)
    found.condemned = sorted(
        (p for p in mine if not identity.is_wanted(stateful_set, p)),
        key=identity.ordinal_of,
        reverse=True,
    )
    if is_terminating(stateful_set):
        return found
    if _plan_replicas(stateful_set, replicas, found, now):
        return found
    if _plan_condemned(stateful_set, replicas, found, now):
        return found
    if is_rolling(stateful_set):
        _plan_update(stateful_set, replicas, revisions, found, now)
    return found


def _replicas(stateful_set: Obj, mine: Sequence[Obj], revisions: Revisions) -> list[Obj]:
    """A pod for every wanted ordinal, made up where there is none."""
    start = identity.start_of(stateful_set)
    there = {identity.ordinal_of(p): p for p in mine if identity.is_wanted(stateful_set, p)}
    replicas = []
    for ordinal in range(start, start + identity.replicas_of(stateful_set)):
        pod = there.get(ordinal)
        if pod is None:
            old = needs_current(stateful_set, ordinal)
            revision = revisions.current if old else revisions.update
            pod = identity.new_pod(stateful_set, revision, ordinal)
        replicas.append(pod)
    return replicas


def _plan_replicas(stateful_set: Obj, replicas: Sequence[Obj], found: Plan, now: datetime) -> bool:
    """True when the sync ends here."""
    ordered = not may_burst(stateful_set)
    for pod in replicas:
        if pods.is_finished(pod):
            if not is_terminating(pod):
                found.delete.append(pod)
            blocked = True
        elif not is_created(pod):
            found.create.append(pod)
            blocked = True
        else:
            found.kept.append(pod)
            blocked = is_unavailable(stateful_set, pod, now)
        if blocked and ordered:
            return True
    return False


def _plan_condemned(stateful_set: Obj, replicas: Sequence[Obj], found: Plan, now: datetime) -> bool:
    """Pods beyond spec.replicas, the highest ordinal first. True when the sync ends here."""
    alive = [p for p in found.condemned if not is_terminating(p)]
    if may_burst(stateful_set):
        found.delete += alive
        return False
    if not found.condemned:
        return False
    pod = found.condemned[0]
    first = _first_unavailable(stateful_set, [*replicas, *reversed(found.condemned)], now)
    blocked = not is_available(stateful_set, pod, now) and pod is not first
    if not is_terminating(pod) and not blocked:
        found.delete.append(pod)
    return True


def _first_unavailable(stateful_set: Obj, among: Iterable[Obj], now: datetime) -> Obj | None:
    return next((p for p in among if is_unavailable(stateful_set, p, now)), None)


def _plan_update(
    stateful_set: Obj,
    replicas: Sequence[Obj],
    revisions: Revisions,
    found: Plan,
    now: datetime,
) -> None:
    """The highest ordinal with an old template goes, when all above are available."""
    for pod in reversed(replicas[partition_of(stateful_set) :]):
        old = identity.revision_of(pod) != name_of(revisions.update)
        if old and not is_terminating(pod):
            found.delete.append(pod)
            found.updating = True
            return
        if is_unavailable(stateful_set, pod, now):
            return


def status_of(
    stateful_set: Obj,
    mine: Sequence[Obj],
    revisions: Revisions,
    now: datetime,
    *,
    updating: bool = False,
) -> Obj:
    """The status to show. updating: a pod of the old revision was deleted just now."""
    current, update = name_of(revisions.current), name_of(revisions.update)
    alive = [p for p in mine if is_created(p) and not is_terminating(p)]
    ready = [p for p in mine if is_ready(p)]
    before = sum(1 for p in alive if identity.revision_of(p) == current)
    counts = {
        "replicas": sum(1 for p in mine if is_created(p)),
        "readyReplicas": len(ready),
        "currentReplicas": max(before - updating, 0),
        "updatedReplicas": sum(1 for p in alive if identity.revision_of(p) == update),
    }
    available = sum(1 for p in ready if is_available(stateful_set, p, now))
    wanted = identity.replicas_of(stateful_set)
    done = all(counts[k] == wanted for k in ("replicas", "readyReplicas", "updatedReplicas"))
    if is_rolling(stateful_set) and done:
        counts["currentReplicas"], current = counts["updatedReplicas"], update
    status: Obj = {k: v for k, v in counts.items() if v or k == "replicas"}
    status["availableReplicas"] = available
    status["observedGeneration"] = int(at(stateful_set, "metadata", "generation", default=0))
    status["currentRevision"], status["updateRevision"] = current, update
    status["collisionCount"] = int(at(stateful_set, "status", "collisionCount", default=0))
    return status
