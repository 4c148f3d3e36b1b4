"""What several controllers ask about a pod. Pure. Upstream: pkg/api/v1/pod/util.go."""

from datetime import datetime, timedelta

from tiphys.api.meta import Obj, at, condition, is_terminating, parse_time


def phase(pod: Obj) -> str:
    return str(at(pod, "status", "phase", default=""))


def is_finished(pod: Obj) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Obj) -> bool:
    """Neither finished nor being deleted."""
    return not is_finished(pod) and not is_terminating(pod)


def is_ready(pod: Obj) -> bool:
    ready = condition(pod, "Ready")
    return ready is not None and ready.get("status") == "True"


def is_available(pod: Obj, min_ready_seconds: int, now: datetime) -> bool:
    """Ready for at least min_ready_seconds."""
    ready = condition(pod, "Ready")
    if ready is None or ready.get("status") != "True":
        return False
    if min_ready_seconds == 0:
        return True
    since = ready.get("lastTransitionTime")
    if not since:
        return False
    return parse_time(since) + timedelta(seconds=min_ready_seconds) <= now


def restart_count(pod: Obj) -> int:
    statuses = at(pod, "status", "containerStatuses", default=[])
    return max((int(s.get("restartCount") or 0) for s in statuses), default=0)


def node_name(pod: Obj) -> str:
    return str(at(pod, "spec", "nodeName", default=""))
