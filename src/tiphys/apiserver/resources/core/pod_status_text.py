"""The words for a pod's state in tables: READY, STATUS, RESTARTS.

Upstream: pkg/printers/internalversion/printers.go (printPod).
"""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at, condition, metadata
from tiphys.apiserver.resources.cells import since


class PodSummary:
    """`ready` ("1/2"), `reason` ("Running"), `restarts` ("3 (5m ago)")."""

    def __init__(self, pod: Obj, now: datetime) -> None:
        self._pod, self._now = pod, now
        self._restarts = self._sidecar_restarts = 0
        self._last = self._sidecar_last = ""  # Times in their wire form order as texts.
        self._ready = 0
        spec = pod.get("spec") or {}
        self._sidecars = {
            c.get("name")
            for c in spec.get("initContainers") or ()
            if c.get("restartPolicy") == "Always"
        }
        self._total = len(spec.get("containers") or ()) + len(self._sidecars)
        self.reason = self._first_reason()
        initializing = self._look_at_init_containers()
        initialized = (condition(pod, "Initialized") or {}).get("status") == "True"
        if not initializing or initialized:
            self._look_at_containers()
        self._look_at_deletion()

    @property
    def ready(self) -> str:
        return f"{self._ready}/{self._total}"

    @property
    def restarts(self) -> str:
        if self._restarts and self._last:
            return f"{self._restarts} ({since(self._last, self._now)} ago)"
        return str(self._restarts)

    def _first_reason(self) -> str:
        scheduled = condition(self._pod, "PodScheduled") or {}
        if scheduled.get("reason") == "SchedulingGated":
            return "SchedulingGated"
        status = self._pod.get("status") or {}
        return str(status.get("reason") or status.get("phase", ""))

    def _look_at_init_containers(self) -> bool:
        """Whether the pod still initialises."""
        statuses = at(self._pod, "status", "initContainerStatuses", default=[])
        for index, status in enumerate(statuses):
            self._count_restart(status, sidecar=status.get("name") in self._sidecars)
            reason = self._init_reason(index, status)
            if reason is not None:
                self.reason = reason
                return True
        return False

    def _count_restart(self, status: Obj, *, sidecar: bool) -> None:
        count = status.get("restartCount", 0)
        finished = at(status, "lastState", "terminated", "finishedAt", default="")
        self._restarts += count
        self._last = max(self._last, finished)
        if sidecar:
            self._sidecar_restarts += count
            self._sidecar_last = max(self._sidecar_last, finished)

    def _init_reason(self, index: int, status: Obj) -> str | None:
        terminated = at(status, "state", "terminated")
        waiting = at(status, "state", "waiting", "reason", default="")
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            return None
        if status.get("name") in self._sidecars and status.get("started"):
            self._ready += bool(status.get("ready"))
            return None
        if terminated is not None:
            return f"Init:{_end_of(terminated)}"
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}"
        return f"Init:{index}/{len(at(self._pod, 'spec', 'initContainers', default=[]))}"

    def _look_at_containers(self) -> None:
        self._restarts, self._last = self._sidecar_restarts, self._sidecar_last
        running = False
        error = ""
        for status in reversed(at(self._pod, "status", "containerStatuses", default=[])):
            self._count_restart(status, sidecar=False)
            waiting = at(status, "state", "waiting", "reason", default="")
            terminated: Any = at(status, "state", "terminated")
            if waiting:
                self.reason = waiting
            elif terminated is not None:
                self.reason = _end_of(terminated)
                error = self.reason if terminated.get("exitCode", 0) else error
            elif status.get("ready") and at(status, "state", "running") is not None:
                running = True
                self._ready += 1
        if self.reason == "Completed":
            is_ready = (condition(self._pod, "Ready") or {}).get("status") == "True"
            if running and is_ready:
                self.reason = "Running"
            elif error:
                self.reason = error
            elif running:
                self.reason = "NotReady"

    def _look_at_deletion(self) -> None:
        if not metadata(self._pod).get("deletionTimestamp"):
            return
        status = self._pod.get("status") or {}
        if status.get("reason") == "NodeLost":
            self.reason = "Unknown"
        elif status.get("phase") not in {"Failed", "Succeeded"}:
            self.reason = "Terminating"


def _end_of(terminated: Obj) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"
