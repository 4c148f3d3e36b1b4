"""What a Job's status becomes: uids to count, numbers, conditions. Pure.

Upstream: pkg/controller/job/job_controller.go trackJobStatusAndRemoveFinalizers.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from tiphys.api.meta import Obj, condition, rfc3339, uid_of
from tiphys.controllers import job_indexes as indexes
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.job_pods import is_failed, judge
from tiphys.controllers.job_sync import (
    UNCOUNTED_MAX,
    Facts,
    is_suspended,
    may_release,
    new_condition,
)


def begun(facts: Facts, active: int, ready: int, terminating: int) -> Obj:
    """The status with fresh numbers of pods, before anything is counted."""
    status = dict(facts.job.get("status") or {})
    status.setdefault("uncountedTerminatedPods", {})
    if not is_suspended(facts.job):
        status.setdefault("startTime", rfc3339(facts.now))
    status |= {"active": active, "ready": ready, "terminating": terminating}
    return without_zeros(status)


def without_zeros(status: Obj) -> Obj:
    """Numbers of zero that the wire form leaves out."""
    return {k: v for k, v in status.items() if v or k not in ("active", "succeeded", "failed")}


def with_suspension(facts: Facts, status: Obj) -> tuple[Obj, tuple[str, str] | None]:
    """The condition Suspended, and the event when it changed."""
    suspended = is_suspended(facts.job)
    have = condition({"status": status}, "Suspended")
    if (have or {}).get("status", "False") == str(suspended):
        return status, None
    word = "suspended" if suspended else "resumed"
    reason = f"Job{word.title()}"
    made = new_condition("Suspended", reason, f"Job {word}", facts.now, str(suspended))
    changed = with_condition(status, made)
    # The deadline counts from the last start.
    changed.pop("startTime", None)
    if not suspended:
        changed["startTime"] = rfc3339(facts.now)
    return changed, (word.title(), f"Job {word}")


def with_condition(status: Obj, wanted: Obj) -> Obj:
    """Replaced in its place, or added."""
    conditions: list[Obj] = list(status.get("conditions") or [])
    for number, found in enumerate(conditions):
        if found["type"] == wanted["type"]:
            conditions[number] = wanted
            return {**status, "conditions": conditions}
    return {**status, "conditions": [*conditions, wanted]}


def noted(facts: Facts, status: Obj, end: Obj | None) -> tuple[Obj, list[Obj], bool]:
    """Step one: the finished pods' uids in the status.

    Returns the status, the pods whose finalizer goes next, and whether that was all of them.
    """
    tracked = {uid_of(p) for p in facts.pods if facts.is_tracked(p)}
    status = counted(status, tracked)
    uncounted = status["uncountedTerminatedPods"]
    won, lost = list(uncounted.get("succeeded") or []), list(uncounted.get("failed") or [])
    release: list[Obj] = []
    indexed = indexes.is_indexed(facts.job)
    done = indexes.noted(facts.job, "completedIndexes")
    complete = True
    for pod in _by_index(facts) if indexed else facts.pods:
        if not facts.is_tracked(pod) or not may_release(facts, pod, end):
            continue
        release.append(pod)
        uid = uid_of(pod)
        if pod_facts.phase(pod) == "Succeeded" and uid not in lost:
            if indexed:
                done |= {n for n in [indexes.valid_index(facts.job, pod)] if n is not None}
            elif uid not in won:
                won.append(uid)
        elif _counts_as_failed(facts, pod, end) and uid not in lost:
            lost.append(uid)
        if len(won) + len(lost) >= UNCOUNTED_MAX:
            complete = False
            break
    status["uncountedTerminatedPods"] = {
        k: v for k, v in (("succeeded", won), ("failed", lost)) if v
    }
    if indexed:
        status = _with_indexes(facts, status, done)
    return status, release, complete


def _by_index(facts: Facts) -> list[Obj]:
    return sorted(facts.pods, key=lambda p: indexes.index_of(p) or 0)


def _counts_as_failed(facts: Facts, pod: Obj, end: Obj | None) -> bool:
    """When the Job fails, what still runs is failed too."""
    ending = end is not None and end["type"] != "SuccessCriteriaMet"
    if not (is_failed(facts.job, pod) or ending):
        return False
    if indexes.is_indexed(facts.job) and indexes.valid_index(facts.job, pod) is None:
        return False
    return judge(facts.job, pod).counts


def _with_indexes(facts: Facts, status: Obj, done: set[int]) -> Obj:
    changed = {**status, "succeeded": len(done), "completedIndexes": indexes.format_indexes(done)}
    if not done:
        changed.pop("completedIndexes")
    if facts.failed_indexes is not None:
        changed["failedIndexes"] = indexes.format_indexes(facts.failed_indexes)
    return without_zeros(changed)


def counted(status: Obj, tracked: AbstractSet[str]) -> Obj:
    """Step three: uids whose finalizer is gone become numbers."""
    changed = dict(status)
    left: Obj = {}
    for kind in ("succeeded", "failed"):
        uids: Sequence[str] = status["uncountedTerminatedPods"].get(kind) or []
        keep = [uid for uid in uids if uid in tracked]
        changed[kind] = int(status.get(kind) or 0) + len(uids) - len(keep)
        if keep:
            left[kind] = keep
    changed["uncountedTerminatedPods"] = left
    return without_zeros(changed)


def finished(status: Obj, end: Obj, now: datetime) -> Obj | None:
    """The status with the final condition; None while pods are uncounted or going."""
    if status["uncountedTerminatedPods"] or status.get("terminating"):
        return None
    kind = "Failed" if end["type"] == "FailureTarget" else "Complete"
    made = new_condition(kind, end.get("reason", ""), end.get("message", ""), now)
    changed = with_condition(status, made)
    if kind == "Complete":
        changed["completionTime"] = rfc3339(now)
    return changed
