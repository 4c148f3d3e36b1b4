"""A Job's decisions: is it over, which pods to make or delete, what to count. Pure.

Pods are counted in three steps, so that none is counted twice whatever fails in between: its uid
goes into status.uncountedTerminatedPods, its finalizer goes, its uid becomes a number.
Upstream: pkg/controller/job/job_controller.go (syncJob, manageJob,
trackJobStatusAndRemoveFinalizers), KEP-2307.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tiphys.api.meta import Obj, at, condition, is_terminating, parse_time, rfc3339, uid_of
from tiphys.controllers import job_indexes as indexes
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.job_pods import (
    Backoff,
    finished_at,
    has_finalizer,
    is_failed,
    judge,
    replaces_failed_only,
    restarts,
    seconds_left,
)
from tiphys.controllers.replica_set import removal_rank

PODS_PER_SYNC_MAX: Final = 500  # MaxPodCreateDeletePerSync
UNCOUNTED_MAX: Final = 500  # MaxUncountedPods
MANAGED_BY: Final = "kubernetes.io/job-controller"


@dataclass(slots=True)
class Facts:
    """What one sync knows. `released`: uids whose finalizer is gone though the cache has it."""

    job: Obj
    pods: Sequence[Obj]
    released: frozenset[str]
    now: datetime
    active: list[Obj] = field(init=False)
    succeeded_indexes: set[int] = field(default_factory=set)
    failed_indexes: set[int] | None = None

    def __post_init__(self) -> None:
        self.active = [p for p in self.pods if pod_facts.is_active(p)]
        if indexes.is_indexed(self.job):
            tracked = [p for p in self.pods if self.is_tracked(p)]
            self.succeeded_indexes = indexes.succeeded(self.job, tracked)
            if indexes.has_limit_per_index(self.job):
                self.failed_indexes = _failed_indexes(self.job, tracked)

    def is_tracked(self, pod: Obj) -> bool:
        return has_finalizer(pod) and uid_of(pod) not in self.released

    def uncounted(self, kind: str) -> list[str]:
        """kind: succeeded or failed."""
        return list(at(self.job, "status", "uncountedTerminatedPods", kind, default=[]))

    def status(self, name: str) -> int:
        return int(at(self.job, "status", name, default=0))

    def new_succeeded(self) -> list[Obj]:
        return [p for p in self._uncounted_pods("succeeded") if pod_facts.phase(p) == "Succeeded"]

    def new_failed(self) -> list[Obj]:
        return [p for p in self._uncounted_pods("failed") if is_failed(self.job, p)]

    def _uncounted_pods(self, kind: str) -> list[Obj]:
        known = set(self.uncounted(kind))
        found = [p for p in self.pods if self.is_tracked(p) and uid_of(p) not in known]
        if indexes.is_indexed(self.job):
            found = [p for p in found if indexes.valid_index(self.job, p) is not None]
        return found

    @property
    def succeeded(self) -> int:
        if indexes.is_indexed(self.job):
            return len(self.succeeded_indexes)
        counted = self.status("succeeded") + len(self.uncounted("succeeded"))
        return counted + len(self.new_succeeded())

    @property
    def failed(self) -> int:
        counted = self.status("failed") + len(self.uncounted("failed"))
        return counted + sum(1 for p in self.new_failed() if judge(self.job, p).counts)

    @property
    def terminating(self) -> int:
        return sum(1 for p in self.pods if is_terminating(p) and not pod_facts.is_finished(p))

    @property
    def ready(self) -> int:
        return sum(1 for p in self.active if pod_facts.is_ready(p))


def _failed_indexes(job: Obj, tracked: Sequence[Obj]) -> set[int]:
    limit = int(job["spec"]["backoffLimitPerIndex"])
    found = indexes.noted(job, "failedIndexes")
    for pod in tracked:
        index = indexes.valid_index(job, pod)
        if index is None or not is_failed(job, pod):
            continue
        verdict = judge(job, pod)
        spent = verdict.counts and indexes.failure_counts(pod)[0] >= limit
        if spent or verdict.action == "FailIndex":
            found.add(index)
    return found


def is_finished(job: Obj) -> bool:
    return any((condition(job, k) or {}).get("status") == "True" for k in ("Complete", "Failed"))


def is_suspended(job: Obj) -> bool:
    return bool(at(job, "spec", "suspend", default=False))


def is_ours(job: Obj) -> bool:
    return (at(job, "spec", "managedBy") or MANAGED_BY) == MANAGED_BY


def new_condition(kind: str, reason: str, message: str, now: datetime, value: str = "True") -> Obj:
    made = {
        "type": kind,
        "status": value,
        "lastProbeTime": rfc3339(now),
        "lastTransitionTime": rfc3339(now),
    }
    return made | {k: v for k, v in (("reason", reason), ("message", message)) if v}


def end_of(facts: Facts) -> Obj | None:
    """Why the Job ends, as the interim condition FailureTarget or SuccessCriteriaMet."""
    for kind in ("SuccessCriteriaMet", "FailureTarget"):
        noted = condition(facts.job, kind)
        if noted is not None and noted.get("status") == "True":
            return noted
    if (failure := _failure(facts)) is not None:
        return new_condition("FailureTarget", *failure, facts.now)
    if indexes.is_indexed(facts.job):
        message = indexes.matched_rule(facts.job, facts.succeeded_indexes)
        if message is not None:
            return new_condition("SuccessCriteriaMet", "SuccessPolicy", message, facts.now)
    return None


def _failure(facts: Facts) -> tuple[str, str] | None:
    """(reason, message)."""
    for pod in facts.pods:
        if is_failed(facts.job, pod) and (message := judge(facts.job, pod).message):
            return "PodFailurePolicy", message
    limit = int(at(facts.job, "spec", "backoffLimit", default=6))
    if facts.failed > limit or _restarted_too_often(facts, limit):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    left = seconds_to_deadline(facts.job, facts.now)
    if left is not None and left <= 0:
        return "DeadlineExceeded", "Job was active longer than specified deadline"
    failed = facts.failed_indexes
    if failed:
        most = at(facts.job, "spec", "maxFailedIndexes")
        if most is not None and len(failed) > most:
            text = "Job has exceeded the specified maximal number of failed indexes"
            return "MaxFailedIndexesExceeded", text
        if len(failed) + len(facts.succeeded_indexes) >= indexes.completions_of(facts.job):
            return "FailedIndexes", "Job has failed indexes"
    return None


def _restarted_too_often(facts: Facts, limit: int) -> bool:
    """Only pods that restart in place: the others fail and are counted."""
    if at(facts.job, "spec", "template", "spec", "restartPolicy") != "OnFailure":
        return False
    alive = [p for p in facts.pods if pod_facts.phase(p) in ("Running", "Pending")]
    count = sum(restarts(p) for p in alive)
    return count > 0 if limit == 0 else count >= limit


def seconds_to_deadline(job: Obj, now: datetime) -> float | None:
    seconds, since = at(job, "spec", "activeDeadlineSeconds"), at(job, "status", "startTime")
    if seconds is None or since is None or is_suspended(job):
        return None
    return (parse_time(since) + timedelta(seconds=int(seconds)) - now).total_seconds()


@dataclass(frozen=True, slots=True)
class Plan:
    """create: an index, or None for a Job without. wait_seconds: back-off before creations."""

    create: tuple[int | None, ...] = ()
    delete: tuple[Obj, ...] = ()
    wait_seconds: float | None = None


def plan(facts: Facts, backoff: Backoff) -> Plan:
    """Pods to make or to delete, never both in one sync. Source: manageJob."""
    job, active = facts.job, facts.active
    if is_suspended(job):
        return Plan(delete=tuple(active))
    wanted = _wanted_active(facts)
    surplus = _to_remove(facts, max(len(active) - wanted, 0))[:PODS_PER_SYNC_MAX]
    if surplus:
        return Plan(delete=tuple(surplus))
    missing = wanted - len(active)
    if replaces_failed_only(job):
        missing -= facts.terminating
    if missing <= 0:
        return Plan()
    per_index = indexes.has_limit_per_index(job)
    left = 0.0 if per_index else backoff.left(facts.now)
    if left > 0:
        return Plan(wait_seconds=left)
    missing = min(missing, PODS_PER_SYNC_MAX)
    if not indexes.is_indexed(job):
        return Plan(create=(None,) * missing)
    return _plan_indexes(facts, missing)


def _wanted_active(facts: Facts) -> int:
    parallelism = int(at(facts.job, "spec", "parallelism", default=1))
    completions = at(facts.job, "spec", "completions")
    if completions is None:  # One success ends it; what runs then may finish.
        return len(facts.active) if facts.succeeded else parallelism
    return max(min(int(completions) - facts.succeeded, parallelism), 0)


def _to_remove(facts: Facts, at_least: int) -> list[Obj]:
    ranked = sorted(facts.active, key=lambda p: removal_rank(p, {}, facts.now))
    doubled = indexes.duplicates(facts.job, ranked) if indexes.is_indexed(facts.job) else []
    rest = [p for p in ranked if p not in doubled]
    return [*doubled, *rest[: max(at_least - len(doubled), 0)]]


def _plan_indexes(facts: Facts, count: int) -> Plan:
    done = facts.succeeded_indexes | (facts.failed_indexes or set())
    busy = list(facts.active)
    if replaces_failed_only(facts.job):
        busy += [p for p in facts.pods if is_terminating(p) and not pod_facts.is_finished(p)]
    chosen = indexes.pending(facts.job, count, done, busy)
    if not indexes.has_limit_per_index(facts.job):
        return Plan(create=tuple(chosen))
    delays = {index: _index_delay(facts, index) for index in chosen}
    due = tuple(index for index, seconds in delays.items() if seconds <= 0)
    if due or not delays:
        return Plan(create=due)
    return Plan(wait_seconds=min(delays.values()))


def _index_delay(facts: Facts, index: int) -> float:
    before = replaced_pod(facts, index)
    if before is None:
        return 0.0
    failures = sum(next_failures(facts, index))
    return seconds_left(failures, finished_at(before, facts.now), facts.now)


def replaced_pod(facts: Facts, index: int) -> Obj | None:
    """The failed pod whose failures the next pod of an index inherits."""
    failed = [
        p
        for p in facts.pods
        if indexes.valid_index(facts.job, p) == index and is_failed(facts.job, p)
    ]
    return max(failed, key=lambda p: sum(indexes.failure_counts(p)), default=None)


def next_failures(facts: Facts, index: int) -> tuple[int, int]:
    """(counted, ignored) failures that the next pod of an index notes."""
    before = replaced_pod(facts, index)
    counted, ignored = indexes.failure_counts(before)
    if before is None:
        return 0, 0
    if judge(facts.job, before).counts:
        return counted + 1, ignored
    return counted, ignored + 1


def is_complete(facts: Facts, active: int) -> bool:
    completions = at(facts.job, "spec", "completions")
    if completions is None:
        return facts.succeeded > 0 and active == 0
    return facts.succeeded >= int(completions) and active == 0


def may_release(facts: Facts, pod: Obj, end: Obj | None) -> bool:
    """Whether the pod's finalizer may go. Source: canRemoveFinalizer."""
    if is_terminating(facts.job) or end is not None or pod_facts.phase(pod) == "Succeeded":
        return True
    if not is_failed(facts.job, pod):
        return False
    if not indexes.has_limit_per_index(facts.job):
        return True
    index = indexes.valid_index(facts.job, pod)
    if index is None or index in facts.succeeded_indexes | (facts.failed_indexes or set()):
        return True
    working = {indexes.index_of(p) for p in facts.active}
    # The next pod of the index reads this one's failures, so it stays until then.
    return index in working or replaced_pod(facts, index) is not pod
