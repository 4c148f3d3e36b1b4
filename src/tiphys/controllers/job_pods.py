"""What a Job asks of its pods: finalizer, failure, the pod failure policy, times. Pure.

Upstream: pkg/controller/job/job_controller.go, pod_failure_policy.go, backoff_utils.go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from tiphys.api.meta import (
    Obj,
    at,
    condition,
    is_terminating,
    metadata,
    name_of,
    namespace_of,
    parse_time,
)
from tiphys.controllers import pods

FINALIZER: Final = "batch.kubernetes.io/job-tracking"
BACKOFF: Final = timedelta(seconds=10)  # DefaultJobPodFailureBackOff
BACKOFF_MAX: Final = timedelta(minutes=10)  # MaxJobPodFailureBackOff


class Failure(NamedTuple):
    """What the pod failure policy makes of a failed pod."""

    message: str | None  # Why the whole Job fails.
    counts: bool
    action: str | None = None


def has_finalizer(pod: Obj) -> bool:
    return FINALIZER in (metadata(pod).get("finalizers") or ())


def replaces_failed_only(job: Obj) -> bool:
    """podReplacementPolicy Failed: a pod that goes away is not replaced before it has failed."""
    return bool(at(job, "spec", "podReplacementPolicy") == "Failed")


def is_failed(job: Obj, pod: Obj) -> bool:
    """Deleted pods count as failed, unless the policy waits for their end."""
    if pods.phase(pod) == "Failed":
        return True
    if replaces_failed_only(job):
        return False
    return is_terminating(pod) and pods.phase(pod) != "Succeeded"


def judge(job: Obj, pod: Obj) -> Failure:
    """Source: matchPodFailurePolicy."""
    for number, rule in enumerate(at(job, "spec", "podFailurePolicy", "rules", default=[])):
        why = _matching(rule, pod)
        if why is None:
            continue
        action = str(rule["action"])
        end = f"matching {action} rule at index {number}"
        message = f"{why} {end}" if action == "FailJob" else None
        return Failure(message, action != "Ignore", action)
    return Failure(None, True)


def _matching(rule: Obj, pod: Obj) -> str | None:
    where = f"{namespace_of(pod)}/{name_of(pod)}"
    if wanted := rule.get("onExitCodes"):
        for status in _container_statuses(pod):
            code = at(status, "state", "terminated", "exitCode", default=0)
            if code and _exit_code_matches(wanted, status, code):
                return f"Container {status['name']} for pod {where} failed with exit code {code}"
        return None
    for pattern in rule.get("onPodConditions") or []:
        found = condition(pod, pattern["type"])
        if found is not None and found.get("status") == (pattern.get("status") or "True"):
            return f"Pod {where} has condition {pattern['type']}"
    return None


def _exit_code_matches(wanted: Obj, status: Obj, code: int) -> bool:
    if wanted.get("containerName") and wanted["containerName"] != status["name"]:
        return False
    return bool((code in wanted["values"]) == (wanted["operator"] == "In"))


def _container_statuses(pod: Obj) -> list[Obj]:
    return [
        *at(pod, "status", "containerStatuses", default=[]),
        *at(pod, "status", "initContainerStatuses", default=[]),
    ]


def restarts(pod: Obj) -> int:
    return sum(int(s.get("restartCount") or 0) for s in _container_statuses(pod))


def finished_at(pod: Obj, now: datetime) -> datetime:
    """When the pod ended: its last container, else what is known. Source: getFinishedTime."""
    ended = [
        parse_time(moment)
        for status in _container_statuses(pod)
        if (moment := at(status, "state", "terminated", "finishedAt"))
    ]
    if ended:
        return max(ended)
    ready = condition(pod, "Ready") or {}
    known = ready.get("lastTransitionTime") or metadata(pod).get("deletionTimestamp")
    return parse_time(known) if known else now


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often pods failed since one succeeded."""

    failures: int = 0
    last: datetime | None = None

    def after(self, succeeded: Sequence[Obj], failed: Sequence[Obj], now: datetime) -> "Backoff":
        """Source: newBackoffRecord."""
        if not succeeded and not failed:
            return self
        ends = sorted(finished_at(p, now) for p in failed)
        if not succeeded:
            return Backoff(self.failures + len(ends), ends[-1])
        won = max(finished_at(p, now) for p in succeeded)
        later = [end for end in ends if end > won]
        return Backoff(len(later), later[-1] if later else None)

    def left(self, now: datetime) -> float:
        """Seconds until the next pod may be made."""
        return seconds_left(self.failures, self.last, now)


def seconds_left(failures: int, last: datetime | None, now: datetime) -> float:
    if failures <= 0 or last is None:
        return 0.0
    doubled: int = 2 ** min(failures - 1, 16)
    pause = min(BACKOFF * doubled, BACKOFF_MAX)
    return max((last + pause - now).total_seconds(), 0.0)
