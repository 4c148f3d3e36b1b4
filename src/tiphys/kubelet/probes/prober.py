"""Runs the probes of all pods and keeps their results.

One task per running container and kind of probe. A container's results begin anew with it: not
ready, not started, alive. Upstream: pkg/kubelet/prober (worker.go, prober_manager.go).
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from tiphys.api.meta import Obj, at, uid_of
from tiphys.cri.client import CriClient
from tiphys.kubelet.pod_events import WARNING, PodEvents
from tiphys.kubelet.pod_spec import all_containers
from tiphys.kubelet.probes import exec as exec_probe
from tiphys.kubelet.probes import grpc, http, tcp
from tiphys.kubelet.probes.metrics import ProbeMetrics
from tiphys.kubelet.probes.probe import Outcome, PortError, Target
from tiphys.kubelet.runtime_state import PodRuntime, RuntimeContainer
from tiphys.kubelet.sync_plan import ProbeResults, Verdict
from tiphys.lib.clock import Clock
from tiphys.lib.tasks import TaskSet

log = logging.getLogger(__name__)

Kind = Literal["startup", "liveness", "readiness"]
KINDS: Final[tuple[Kind, ...]] = ("startup", "liveness", "readiness")
# Defaults of apis/core/v1 SetDefaults_Probe, for pods that come without them.
PERIOD_SECONDS: Final = 10
TIMEOUT_SECONDS: Final = 1
FAILURES: Final = 3
SUCCESSES: Final = 1


@dataclass(frozen=True, slots=True)
class _Key:
    uid: str
    container_id: str
    kind: Kind


@dataclass(slots=True)
class Tally:
    """Turns outcomes into a verdict: so many in a row change it."""

    failures_wanted: int
    successes_wanted: int
    last: str = ""
    run: int = 0

    def add(self, outcome: Outcome) -> Verdict | None:
        """The verdict that this outcome settles; None while it settles nothing."""
        if outcome.verdict == "unknown":
            return None
        self.run = self.run + 1 if outcome.verdict == self.last else 1
        self.last = outcome.verdict
        wanted = self.failures_wanted if self.last == "failure" else self.successes_wanted
        if self.run < wanted:
            return None
        return "failure" if self.last == "failure" else "success"


def was_so(pod: Obj, kind: Kind, container_id: str) -> bool:
    """Whether the pod's status, written by the kubelet before us, says so of this container.

    A kubelet that starts again must not make ready pods unready until it has asked them.
    """
    field = {"startup": "started", "readiness": "ready"}.get(kind)
    lists = ("initContainerStatuses", "containerStatuses")
    return field is not None and any(
        bool(s.get(field))
        for name in lists
        for s in at(pod, "status", name, default=[])
        if str(s.get("containerID", "")).endswith(f"://{container_id}")
    )


class Prober:
    """`changed` is called with a pod's uid when a result of it has changed."""

    def __init__(
        self, cri: CriClient, events: PodEvents, clock: Clock, changed: Callable[[str], None]
    ) -> None:
        self._cri = cri
        self._events = events
        self._clock = clock
        self._changed = changed
        self._tasks = TaskSet()
        self.metrics = ProbeMetrics()
        self._running: dict[_Key, asyncio.Task[None]] = {}
        self._results: dict[_Key, Verdict] = {}
        self._started: dict[str, asyncio.Event] = {}
        self._pods: dict[str, Obj] = {}

    def update(self, pod: Obj, runtime: PodRuntime, *, ending: bool = False) -> None:
        """Probe what runs now; an ending pod is only asked whether it is ready."""
        uid = uid_of(pod)
        self._pods[uid] = pod
        wanted: set[_Key] = set()
        for _, container in all_containers(pod):
            running = runtime.newest(container["name"])
            if running is None or running.state != "running":
                continue
            for kind in KINDS:
                if container.get(f"{kind}Probe") and not (ending and kind != "readiness"):
                    wanted.add(key := _Key(uid, running.id, kind))
                    self._ensure(key, container["name"], running, runtime)
        for key in [k for k in self._running if k.uid == uid and k not in wanted]:
            self._running.pop(key).cancel()
        alive = {c.id for c in runtime.containers if c.state == "running"}
        for key in [k for k in self._results if k.uid == uid and k.container_id not in alive]:
            del self._results[key]
            self._started.pop(key.container_id, None)

    def remove(self, uid: str) -> None:
        for key in [k for k in self._running if k.uid == uid]:
            self._running.pop(key).cancel()
        for key in [k for k in self._results if k.uid == uid]:
            del self._results[key]
            self._started.pop(key.container_id, None)
        self._pods.pop(uid, None)
        self.metrics.remove(uid)

    def results(self, uid: str) -> ProbeResults:
        found: dict[Kind, dict[str, Verdict]] = {kind: {} for kind in KINDS}
        for key, verdict in self._results.items():
            if key.uid == uid:
                found[key.kind][key.container_id] = verdict
        return ProbeResults(found["liveness"], found["startup"], found["readiness"])

    async def close(self) -> None:
        await self._tasks.close()

    def _ensure(self, key: _Key, name: str, running: RuntimeContainer, runtime: PodRuntime) -> None:
        if key not in self._running:
            if was_so(self._pods[key.uid], key.kind, running.id):
                self._results[key] = "success"
                if key.kind == "startup":
                    self._started.setdefault(key.container_id, asyncio.Event()).set()
            ips = runtime.ips or tuple(
                e["ip"] for e in at(self._pods[key.uid], "status", "podIPs", default=[])
            )
            work = self._probe(key, name, running, ips[0] if ips else "")
            self._running[key] = self._tasks.start(work, f"{key.kind} probe of {name}")

    async def _probe(self, key: _Key, name: str, running: RuntimeContainer, pod_ip: str) -> None:
        if key.kind == "startup" and self._results.get(key) == "success":
            return
        probe, has_startup = self._spec(key, name)
        delay = int(probe.get("initialDelaySeconds") or 0)
        age = self._clock.now().timestamp() - running.started_at / 1e9
        if delay > age:
            await self._clock.sleep(delay - age)
        if has_startup and key.kind != "startup":
            await self._started.setdefault(key.container_id, asyncio.Event()).wait()
        tally = Tally(
            int(probe.get("failureThreshold") or FAILURES),
            int(probe.get("successThreshold") or SUCCESSES),
        )
        while True:
            probe, _ = self._spec(key, name)
            began = self._clock.monotonic()
            outcome = await self._run(key, name, probe, running, pod_ip)
            took = self._clock.monotonic() - began
            self.metrics.probed(self._pods[key.uid], name, key.kind, outcome.verdict, took)
            if outcome.verdict != "success":
                self._tell(key, name, outcome)
            verdict = tally.add(outcome)
            if verdict is not None:
                self._settle(key, verdict)
                # A started container stays so; a failed one is about to be replaced.
                if key.kind == "startup" or (key.kind == "liveness" and verdict == "failure"):
                    return
            await self._clock.sleep(int(probe.get("periodSeconds") or PERIOD_SECONDS))

    def _spec(self, key: _Key, name: str) -> tuple[Obj, bool]:
        pod = self._pods[key.uid]
        container = next(c for _, c in all_containers(pod) if c["name"] == name)
        found: Obj = container.get(f"{key.kind}Probe") or {}
        return found, bool(container.get("startupProbe"))

    async def _run(
        self, key: _Key, name: str, probe: Obj, running: RuntimeContainer, pod_ip: str
    ) -> Outcome:
        pod = self._pods[key.uid]
        container = next(c for _, c in all_containers(pod) if c["name"] == name)
        ip = pod_ip or str(at(pod, "status", "podIP", default=""))
        target = Target(pod, container, running, ip or "127.0.0.1")
        timeout = int(probe.get("timeoutSeconds") or TIMEOUT_SECONDS)
        try:
            if action := probe.get("exec"):
                return await exec_probe.run(self._cri, action, target, timeout)
            if action := probe.get("httpGet"):
                return await http.run(action, target, timeout)
            if action := probe.get("tcpSocket"):
                return await tcp.run(action, target, timeout)
            if action := probe.get("grpc"):
                return await grpc.run(action, target, timeout)
        except (PortError, ValueError) as exc:
            return Outcome("unknown", str(exc))
        return Outcome("unknown", f"missing probe handler for {name}")

    def _tell(self, key: _Key, name: str, outcome: Outcome) -> None:
        kind = key.kind.capitalize()
        what = (
            "failed" if outcome.verdict == "failure" else ("errored and resulted in unknown state")
        )
        self._events.container(
            self._pods[key.uid],
            name,
            WARNING,
            "Unhealthy",
            f"{kind} probe {what}: {outcome.message}",
        )

    def _settle(self, key: _Key, verdict: Verdict) -> None:
        if key.kind == "startup" and verdict == "success":
            self._started.setdefault(key.container_id, asyncio.Event()).set()
        if self._results.get(key) != verdict:
            self._results[key] = verdict
            self._changed(key.uid)
