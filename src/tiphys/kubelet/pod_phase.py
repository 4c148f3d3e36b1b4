"""The phase of a pod, from its containers' statuses.

Upstream: pkg/kubelet/kubelet_pods.go (getPhase).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiphys.api.meta import Obj, at
from tiphys.kubelet.pod_spec import containers_of, is_sidecar
from tiphys.kubelet.restart import init_container_restarts, restarts_after

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"


def is_terminal(phase: str) -> bool:
    return phase in (SUCCEEDED, FAILED)


@dataclass(slots=True)
class _Counts:
    pending_init: int = 0
    pending_sidecars: int = 0
    failed_init: int = 0
    unknown: int = 0
    running: int = 0
    waiting: int = 0
    stopped: int = 0
    succeeded: int = 0
    ended_for_good: int = 0


def pod_phase(
    pod: Obj, statuses: Sequence[Obj], *, ended: bool = False, initialized: bool = False
) -> str:
    """`statuses` are init and main together; ended: nothing of the pod will run again."""
    by_name = {s["name"]: s for s in statuses}
    counts = _Counts()
    for container in containers_of(pod, "init"):
        status = by_name.get(container["name"])
        if is_sidecar(container):
            _count_sidecar(status, counts)
        else:
            _count_init(pod, container, status, counts)
    for container in containers_of(pod, "main"):
        _count_main(pod, container, by_name.get(container["name"]), counts)
    return _decide(counts, ended=ended, initialized=initialized)


def _decide(counts: _Counts, *, ended: bool, initialized: bool) -> str:
    if counts.failed_init:
        return FAILED
    # Restarting sidecars do not throw a pod back that has begun to work.
    if counts.pending_init or (counts.pending_sidecars and not initialized) or counts.waiting:
        return PENDING
    if counts.unknown:
        return PENDING
    if counts.running and not counts.stopped:
        return RUNNING
    if counts.running:
        return RUNNING
    if not counts.stopped:
        return PENDING
    if not ended and counts.ended_for_good != counts.stopped:
        return RUNNING  # Something is about to run again.
    return SUCCEEDED if counts.stopped == counts.succeeded else FAILED


def _count_init(pod: Obj, container: Obj, status: Obj | None, counts: _Counts) -> None:
    ended = _ended(status)
    if ended is None:
        counts.pending_init += 1
    elif ended["exitCode"] != 0:
        if not init_container_restarts(pod, container, int(ended["exitCode"])):
            counts.failed_init += 1
        elif not at(status, "state", "terminated"):
            counts.pending_init += 1
        else:
            counts.pending_init += 1


def _count_sidecar(status: Obj | None, counts: _Counts) -> None:
    if status is None:
        counts.unknown += 1
    elif "running" in status["state"]:
        counts.running += 1
        if not status.get("started"):
            counts.pending_sidecars += 1
    elif "terminated" not in status["state"] and not at(status, "lastState", "terminated"):
        counts.pending_sidecars += 1
        counts.waiting += 1


def _count_main(pod: Obj, container: Obj, status: Obj | None, counts: _Counts) -> None:
    if status is None:
        counts.unknown += 1
    elif "running" in status["state"]:
        counts.running += 1
    else:
        ended = _ended(status)
        if ended is None:
            counts.waiting += 1
            return
        counts.stopped += 1
        code = int(ended["exitCode"])
        if not restarts_after(pod, container, code):
            counts.ended_for_good += 1
        if "terminated" in status["state"] and code == 0:
            counts.succeeded += 1


def _ended(status: Obj | None) -> Mapping[str, int] | None:
    """How it ended last, now or before its back-off; None while it has not."""
    if status is None or "running" in status["state"]:
        return None
    found: Mapping[str, int] | None = status["state"].get("terminated")
    if found is None:
        found = at(status, "lastState", "terminated")
    return found
