"""Carries one plan out: sandbox, volumes, kills, starts. The decisions are in sync_plan.py.

Upstream: pkg/kubelet/kubelet.go (SyncPod), kuberuntime_manager.go (SyncPod).
"""

import logging
from dataclasses import dataclass, field
from typing import Any, Final

from tiphys.api.meta import Obj, uid_of
from tiphys.cri.errors import CriError
from tiphys.kubelet.cgroups import container_resources
from tiphys.kubelet.container_starter import ContainerStarter
from tiphys.kubelet.deps import Deps
from tiphys.kubelet.grpc_text import error_text
from tiphys.kubelet.images import StartError
from tiphys.kubelet.pod_cgroup import PodCgroups
from tiphys.kubelet.pod_events import NORMAL, WARNING
from tiphys.kubelet.pod_killer import PodKiller, probe_grace
from tiphys.kubelet.pod_spec import find_container, grace_seconds
from tiphys.kubelet.runtime_state import PodRuntime, RuntimeContainer
from tiphys.kubelet.sandbox_config import pod_log_directory, sandbox_config
from tiphys.kubelet.sync_plan import Kill, SyncPlan
from tiphys.kubelet.volumes.pod_volumes import set_up_volumes
from tiphys.kubelet.volumes.volume import Context, HostVolume, VolumeError, pod_dir

log = logging.getLogger(__name__)

DEAD_CONTAINERS_KEPT: Final = 1  # Of each container; MaxPerPodContainerCount
RETRY_SECONDS: Final = 10.0


class SyncError(Exception):
    """The pod's sync stopped half way: it is tried again after retry_seconds."""

    def __init__(self, message: str, retry_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


@dataclass(slots=True)
class Outcome:
    """What a sync has done: waiting reasons by container, and when to come back."""

    waiting: dict[str, tuple[str, str]] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)
    retry_seconds: float | None = None

    def retry_in(self, seconds: float | None) -> None:
        if seconds is not None and (self.retry_seconds is None or seconds < self.retry_seconds):
            self.retry_seconds = seconds


class PodSync:
    def __init__(self, deps: Deps, killer: PodKiller, cgroups: PodCgroups) -> None:
        self._deps = deps
        self._killer = killer
        self._cgroups = cgroups
        self._starter = ContainerStarter(deps, killer)

    async def volumes(self, pod: Obj) -> dict[str, HostVolume]:
        """Set up or brought up to date. Raises VolumeError."""
        deps = self._deps
        context = Context(pod_dir(deps.config.root_dir, pod), deps.sources, deps.allocatable())
        return await set_up_volumes(pod, context)

    async def carry_out(self, pod: Obj, runtime: PodRuntime, plan: SyncPlan) -> Outcome:
        """Raises SyncError, CriError."""
        outcome = Outcome()
        if plan.is_empty:
            await self._refresh_volumes(pod, outcome)
            return outcome
        if plan.kill_pod:
            if plan.create_sandbox and runtime.sandbox is not None:
                self._deps.events.pod(
                    pod,
                    NORMAL,
                    "SandboxChanged",
                    "Pod sandbox changed, it will be killed and re-created.",
                )
            await self._killer.kill_pod(pod, runtime, grace_seconds(pod))
            if not plan.create_sandbox:
                return outcome
            await self._remove_init_containers(pod, runtime)
        for kill in plan.kill:
            await self._kill(pod, runtime, kill)
        if plan.resize:
            await self._resize(pod, runtime, plan.resize)
        volumes = await self._set_up_volumes(pod)
        if plan.create_sandbox:
            sandbox = await self._create_sandbox(pod, plan.attempt)
            runtime = await self._deps.cache.refresh(uid_of(pod))
        else:
            assert runtime.sandbox is not None
            sandbox = self._sandbox(pod, runtime.sandbox.id, runtime.sandbox.attempt)
        for name in (*plan.start_ephemeral, *plan.start_init, *plan.start):
            await self._start(pod, name, runtime, sandbox, volumes, outcome)
        await self._remove_dead(runtime, outcome)
        return outcome

    async def _refresh_volumes(self, pod: Obj, outcome: Outcome) -> None:
        try:
            await self.volumes(pod)
        except VolumeError as exc:
            # The pod runs on with what its volumes held before.
            self._deps.events.pod(pod, WARNING, "FailedMount", str(exc))
            outcome.retry_in(RETRY_SECONDS)

    async def _set_up_volumes(self, pod: Obj) -> dict[str, HostVolume]:
        try:
            return await self.volumes(pod)
        except VolumeError as exc:
            self._deps.events.pod(pod, WARNING, "FailedMount", str(exc))
            raise SyncError(str(exc)) from exc

    async def _kill(self, pod: Obj, runtime: PodRuntime, kill: Kill) -> None:
        running = next((c for c in runtime.containers if c.id == kill.container_id), None)
        found = find_container(pod, kill.name)
        if running is not None and found is not None:
            grace = probe_grace(pod, found[1], kill)
            await self._killer.kill_container(pod, running, kill.message, grace)

    async def _resize(self, pod: Obj, runtime: PodRuntime, names: tuple[str, ...]) -> None:
        """New bounds for running containers; the pod's own first, so that they have room."""
        self._cgroups.create(pod)
        for name in names:
            running, found = runtime.newest(name), find_container(pod, name)
            if running is None or found is None:
                continue
            linux = {
                "cpu_quota": -1,  # None, unless the spec says one.
                **container_resources(pod, found[1], self._deps.machine.memory),
            }
            request = {"container_id": running.id, "linux": linux}
            await self._deps.cri.call("UpdateContainerResources", request)

    def _sandbox(self, pod: Obj, sandbox_id: str, attempt: int) -> dict[str, Any]:
        config = sandbox_config(
            pod,
            attempt=attempt,
            logs_root=self._deps.config.pod_logs_dir,
            dns=self._deps.dns,
            cgroup_root=self._deps.config.cgroup_root,
        )
        return {"id": sandbox_id, "config": config}

    async def _create_sandbox(self, pod: Obj, attempt: int) -> dict[str, Any]:
        sandbox = self._sandbox(pod, "", attempt)
        self._make_log_directory(pod)
        self._cgroups.create(pod)
        try:
            answer = await self._deps.cri.call("RunPodSandbox", {"config": sandbox["config"]})
        except CriError as exc:
            message = f"Failed to create pod sandbox: {error_text(exc)}"
            self._deps.events.pod(pod, WARNING, "FailedCreatePodSandBox", message)
            raise SyncError(message, RETRY_SECONDS) from exc
        sandbox["id"] = answer["pod_sandbox_id"]
        return sandbox

    def _make_log_directory(self, pod: Obj) -> None:
        pod_log_directory(self._deps.config.pod_logs_dir, pod).mkdir(parents=True, exist_ok=True)

    async def _start(
        self,
        pod: Obj,
        name: str,
        runtime: PodRuntime,
        sandbox: dict[str, Any],
        volumes: dict[str, HostVolume],
        outcome: Outcome,
    ) -> None:
        found = find_container(pod, name)
        if found is None:
            return
        try:
            await self._starter.start(pod, found[1], runtime, sandbox, volumes)
        except StartError as exc:
            outcome.waiting[name] = (exc.reason, exc.message)
            outcome.retry_in(RETRY_SECONDS if exc.retry_seconds is None else exc.retry_seconds)
        else:
            outcome.started.add(name)

    async def _remove_init_containers(self, pod: Obj, runtime: PodRuntime) -> None:
        """In a new sandbox they run again; old results must not count."""
        names = {c["name"] for c in pod["spec"].get("initContainers") or []}
        for container in runtime.containers:
            if container.name in names and container.state == "exited":
                await self._killer.remove_container(container.id)

    async def _remove_dead(self, runtime: PodRuntime, outcome: Outcome) -> None:
        """Keep the newest dead instance of what was started again: its state and its log."""
        for name in outcome.started:
            dead = [c for c in runtime.instances(name) if c.state in ("exited", "created")]
            for container in dead[DEAD_CONTAINERS_KEPT:]:
                await self._remove_one(container)

    async def _remove_one(self, container: RuntimeContainer) -> None:
        try:
            await self._killer.remove_container(container.id)
        except CriError as exc:
            log.info("container not removed", extra={"id": container.id, "why": exc.message})
