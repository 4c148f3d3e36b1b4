"""What a simulated pod does over time: pod, rule and elapsed seconds give its status.

A rule is text, in an annotation of the pod or given in Python; parts are joined by commas:

    running                      starts at once and is ready (the default)
    starts after 3s              stays in ContainerCreating for so long
    ready after 5s               runs, becomes ready later
    unready                      runs, never becomes ready
    exit 3 after 2s              ends with a code (after 1s where nothing is said)
    crash loop                   exit 1 after 1s
    never ImagePullBackOff       never starts; ContainerCreating where no reason is said

The pod's restart policy decides what an end means. Pods of Jobs end with 0 after a second unless
told otherwise. Init containers end well at once. Probes are not run.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from tiphys.api.meta import Obj, annotations_of, at, controller_of, rfc3339, uid_of
from tiphys.kubelet.conditions import pod_conditions
from tiphys.kubelet.pod_phase import pod_phase
from tiphys.kubelet.pod_spec import containers_of, is_sidecar, qos_class
from tiphys.kubelet.restart import (
    BACK_OFF_INITIAL_SECONDS,
    BACK_OFF_MAX_SECONDS,
    restarts_after,
    shown_seconds,
)
from tiphys.testing.spans import seconds_of

ANNOTATION: Final = "testing.tiphys.io/rule"
LOG_ANNOTATION: Final = "testing.tiphys.io/log"
EXIT_SECONDS: Final = 1.0  # How long a program runs of which only its exit code is said.
TERMINATED_CODE: Final = 143  # 128 + SIGTERM


class RuleError(ValueError):
    """The text is no rule: which part, and what there is."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Seconds count from when the node takes the pod (start) or the containers run (the others)."""

    start_seconds: float = 0.0
    ready_seconds: float | None = 0.0  # None: never
    exit_code: int | None = None
    exit_seconds: float = EXIT_SECONDS
    never: str = ""  # Why it never starts.


RUNNING: Final = Rule()
FINISHES: Final = Rule(exit_code=0)

_SPAN: Final = r"(?P<span>[\d.]+(?:ms|s|m|h|d)(?:[\d.]+(?:ms|s|m|h|d))*)"
_PARTS: Final[tuple[tuple[re.Pattern[str], Callable[[Rule, re.Match[str]], Rule]], ...]] = (
    (re.compile("running"), lambda rule, found: rule),
    (re.compile("unready"), lambda rule, found: replace(rule, ready_seconds=None)),
    (
        re.compile("crash loop"),
        lambda rule, found: replace(rule, exit_code=1, exit_seconds=EXIT_SECONDS),
    ),
    (
        re.compile(f"starts after {_SPAN}"),
        lambda rule, found: replace(rule, start_seconds=seconds_of(found["span"])),
    ),
    (
        re.compile(f"ready after {_SPAN}"),
        lambda rule, found: replace(rule, ready_seconds=seconds_of(found["span"])),
    ),
    (
        re.compile(rf"exit (?P<code>\d{{1,3}})(?: after {_SPAN})?"),
        lambda rule, found: replace(
            rule,
            exit_code=int(found["code"]),
            exit_seconds=seconds_of(found["span"]) if found["span"] else EXIT_SECONDS,
        ),
    ),
    (
        re.compile(r"never(?: (?P<reason>[A-Za-z]+))?"),
        lambda rule, found: replace(rule, never=found["reason"] or "ContainerCreating"),
    ),
)


def parse(text: str) -> Rule:
    """Raises RuleError."""
    rule = RUNNING
    for part in text.split(","):
        for pattern, apply in _PARTS:
            found = pattern.fullmatch(part.strip())
            if found is not None:
                rule = apply(rule, found)
                break
        else:
            raise RuleError(
                f'"{part.strip()}" is no rule for pods: write running, starts after 3s,'
                " ready after 5s, unready, exit 1 after 2s, crash loop or never ImagePullBackOff"
            )
    return rule


def rule_of(pod: Obj) -> Rule:
    """What the pod's annotation says, else what its owner makes likely. Raises RuleError."""
    said = annotations_of(pod).get(ANNOTATION)
    if said is not None:
        return parse(said)
    owner = controller_of(pod)
    return FINISHES if owner is not None and owner.get("kind") == "Job" else RUNNING


@dataclass(frozen=True, slots=True)
class Moment:
    """What the containers do at one time; seconds count from when the node took the pod."""

    state: str  # creating, running, waiting (for its next run) or ended
    runs: int = 0  # ended before
    since_seconds: float = 0.0
    next_seconds: float | None = None  # When this changes.
    pause_seconds: float = 0.0  # What a waiting one waits for.


def moment_of(rule: Rule, elapsed: float, *, restarts: bool) -> Moment:
    """Where a rule is after so many seconds; restarts: whether an end is followed by a run."""
    if rule.never:
        return Moment("creating")
    begun = rule.start_seconds
    if elapsed < begun:
        return Moment("creating", next_seconds=begun)
    runs = 0
    while True:
        ready = begun + rule.ready_seconds if rule.ready_seconds is not None else None
        end = begun + rule.exit_seconds if rule.exit_code is not None else None
        if end is None or elapsed < end:
            coming = [t for t in (ready, end) if t is not None and t > elapsed]
            return Moment("running", runs, begun, min(coming, default=None))
        if not restarts:
            return Moment("ended", runs, begun)
        pause = pause_seconds(runs, rule.exit_seconds)
        runs += 1
        begun = end + pause
        if elapsed < begun:
            return Moment("waiting", runs, end, begun, pause)


def pause_seconds(runs: int, ran_seconds: float) -> float:
    """Before the next run, as the kubelet's back-off: none, then 10 s, doubling up to 5 minutes."""
    if runs == 0 or ran_seconds > 2 * BACK_OFF_MAX_SECONDS:
        return 0.0
    return float(min(BACK_OFF_INITIAL_SECONDS * 2.0 ** min(runs - 1, 16), BACK_OFF_MAX_SECONDS))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod lives."""

    host_ip: str
    pod_ip: str


def status_at(
    pod: Obj, rule: Rule, place: Place, began: datetime, now: datetime
) -> tuple[Obj, float | None]:
    """The pod's status, and in how many seconds it changes next (None: not by itself).

    A pod that is being deleted has ended.
    """
    elapsed = (now - began).total_seconds()
    mains = containers_of(pod, "main")
    code = rule.exit_code or 0
    restarts = rule.exit_code is not None and restarts_after(pod, mains[0], code)
    moment = moment_of(rule, elapsed, restarts=restarts)
    is_ending = bool(at(pod, "metadata", "deletionTimestamp"))
    if is_ending and moment.state != "ended":
        moment = Moment("ended", moment.runs, moment.since_seconds)
        rule = replace(rule, exit_code=TERMINATED_CODE, exit_seconds=elapsed - moment.since_seconds)
    init = [_init_status(pod, c, moment, began) for c in containers_of(pod, "init")]
    statuses = [_main_status(pod, c, rule, moment, began, elapsed) for c in mains]
    initialized = moment.state != "creating"
    phase = pod_phase(pod, [*init, *statuses], ended=is_ending, initialized=initialized)
    conditions = pod_conditions(
        pod, phase, init, statuses, sandbox_ready=not (rule.never or is_ending), now=now
    )
    status: Obj = {
        "phase": phase,
        "conditions": conditions,
        "hostIP": place.host_ip,
        "hostIPs": [{"ip": place.host_ip}],
        "startTime": at(pod, "status", "startTime") or rfc3339(began),
        "qosClass": at(pod, "status", "qosClass") or qos_class(pod),
        "containerStatuses": statuses,
    }
    if init:
        status["initContainerStatuses"] = init
    if initialized:
        status |= {"podIP": place.pod_ip, "podIPs": [{"ip": place.pod_ip}]}
    following = None if moment.next_seconds is None else moment.next_seconds - elapsed
    return status, following


def _named(pod: Obj, container: Obj, runs: int) -> Obj:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"simulated://{container['image']}",
        "containerID": f"simulated://{uid_of(pod)}/{container['name']}/{runs}",
        "restartCount": runs,
        "lastState": {},
    }


def _init_status(pod: Obj, container: Obj, moment: Moment, began: datetime) -> Obj:
    status = _named(pod, container, 0)
    if moment.state == "creating":
        return status | {
            "ready": False,
            "started": False,
            "state": {"waiting": {"reason": "PodInitializing"}},
        }
    at_start = rfc3339(began + timedelta(seconds=moment.since_seconds if not moment.runs else 0))
    if is_sidecar(container) and moment.state != "ended":
        return status | {
            "ready": True,
            "started": True,
            "state": {"running": {"startedAt": at_start}},
        }
    ended = _terminated(0, at_start, at_start, status["containerID"])
    return status | {"ready": True, "started": False, "state": {"terminated": ended}}


def _main_status(
    pod: Obj, container: Obj, rule: Rule, moment: Moment, began: datetime, elapsed: float
) -> Obj:
    status = _named(pod, container, moment.runs)
    since = began + timedelta(seconds=moment.since_seconds)
    code = rule.exit_code or 0
    if moment.runs:
        end = since if moment.state == "waiting" else None
        status["lastState"] = {"terminated": _last_end(rule, moment, began, end, status)}
    is_ready = (
        moment.state == "running"
        and rule.ready_seconds is not None
        and elapsed >= moment.since_seconds + rule.ready_seconds
    )
    status |= {"ready": is_ready, "started": moment.state == "running"}
    if moment.state == "creating":
        waiting = {"reason": rule.never or "ContainerCreating"}
        return status | {"containerID": "", "state": {"waiting": waiting}}
    if moment.state == "running":
        return status | {"state": {"running": {"startedAt": rfc3339(since)}}}
    if moment.state == "waiting":
        message = (
            f"back-off {shown_seconds(moment.pause_seconds)} restarting failed container="
            f"{container['name']} pod={pod['metadata']['name']}_{pod['metadata']['namespace']}"
            f"({uid_of(pod)})"
        )
        waiting = {"reason": "CrashLoopBackOff", "message": message}
        # The run that comes next is not counted before it begins.
        runs = moment.runs - 1
        return status | {"restartCount": runs, "state": {"waiting": waiting}}
    end = since + timedelta(seconds=rule.exit_seconds)
    ended = _terminated(code, rfc3339(since), rfc3339(end), status["containerID"])
    return status | {"state": {"terminated": ended}}


def _last_end(
    rule: Rule, moment: Moment, began: datetime, end: datetime | None, status: Obj
) -> Obj:
    """How the run before ended; end: when, where that is known already."""
    if end is None:
        pause = pause_seconds(moment.runs - 1, rule.exit_seconds)
        end = began + timedelta(seconds=moment.since_seconds - pause)
    start = end - timedelta(seconds=rule.exit_seconds)
    before = status["containerID"].rpartition("/")[0] + f"/{moment.runs - 1}"
    return _terminated(rule.exit_code or 0, rfc3339(start), rfc3339(end), before)


def _terminated(code: int, start: str, end: str, container_id: str) -> Obj:
    return {
        "exitCode": code,
        "reason": "Completed" if code == 0 else "Error",
        "startedAt": start,
        "finishedAt": end,
        "containerID": container_id,
    }
