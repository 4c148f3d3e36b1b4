"""The life of one pod on this node, as a state machine without I/O.

    syncing      it should run: plans are carried out whenever something changes
    terminating  it must end: containers are stopped within the grace
    terminated   nothing runs any more: what it held is given back
    finished     everything is cleaned up; the worker waits for the object to go

Upstream: pkg/kubelet/pod_workers.go.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from tiphys.api.meta import Obj, at, is_terminating, parse_time
from tiphys.kubelet.pod_phase import is_terminal
from tiphys.kubelet.pod_spec import grace_seconds
from tiphys.kubelet.pod_status import Verdict

DEADLINE: Final = Verdict(
    "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
)
ORPHAN_GRACE_SECONDS: Final = 1  # pod_workers.go: a pod that the API no longer has


class Stage(Enum):
    SYNCING = "syncing"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Life:
    """What the worker knows of its pod; transitions give a new value."""

    stage: Stage = Stage.SYNCING
    grace_seconds: int | None = None
    verdict: Verdict | None = None
    object_gone: bool = False


def observe(life: Life, pod: Obj, *, gone: bool, phase: str, now: datetime) -> Life:
    """The life after looking at the API's object and the pod's present phase."""
    life = Life(life.stage, life.grace_seconds, life.verdict, gone or life.object_gone)
    if life.stage is Stage.SYNCING:
        if life.object_gone:
            return _ending(life, _orphan_grace(pod), None)
        if is_terminating(pod):
            return _ending(life, grace_seconds(pod), None)
        if (left := deadline_seconds(pod, now)) is not None and left <= 0:
            return _ending(life, grace_seconds(pod), DEADLINE)
        if is_terminal(phase):
            return _ending(life, grace_seconds(pod), None)
    elif life.stage is Stage.TERMINATING:
        wanted = _orphan_grace(pod) if life.object_gone else grace_seconds(pod)
        # A second deletion may shorten the grace, never lengthen it.
        if life.grace_seconds is not None and wanted < life.grace_seconds:
            return _ending(life, wanted, life.verdict)
    return life


def stopped(life: Life) -> Life:
    """Nothing of the pod runs any more."""
    return Life(Stage.TERMINATED, life.grace_seconds, life.verdict, life.object_gone)


def cleaned(life: Life) -> Life:
    return Life(Stage.FINISHED, life.grace_seconds, life.verdict, life.object_gone)


def _ending(life: Life, grace: int, verdict: Verdict | None) -> Life:
    return Life(Stage.TERMINATING, grace, verdict, life.object_gone)


def _orphan_grace(pod: Obj) -> int:
    """Deleted without waiting for us: what is left of its grace is not ours to give."""
    if is_terminating(pod):
        return max(grace_seconds(pod), ORPHAN_GRACE_SECONDS)
    return ORPHAN_GRACE_SECONDS


def deadline_seconds(pod: Obj, now: datetime) -> float | None:
    """Seconds left of activeDeadlineSeconds; None where there is none or it has not begun."""
    allowed = at(pod, "spec", "activeDeadlineSeconds")
    started = at(pod, "status", "startTime")
    if allowed is None or not started:
        return None
    return float(allowed) - (now - parse_time(started)).total_seconds()
