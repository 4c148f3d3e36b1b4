"""Ends containers and pods: hooks, grace, order.

Upstream: pkg/kubelet/kuberuntime/kuberuntime_container.go (killContainer,
killContainersWithSyncResult), kuberuntime_termination_order.go.
"""

import asyncio
import logging
from typing import Final

from tiphys.api.meta import Obj, at
from tiphys.cri.errors import CriError
from tiphys.kubelet.deps import Deps
from tiphys.kubelet.grpc_text import error_text
from tiphys.kubelet.hooks import HookError, run_hook
from tiphys.kubelet.pod_events import NORMAL, WARNING
from tiphys.kubelet.pod_spec import find_container, grace_seconds, is_sidecar
from tiphys.kubelet.probes.probe import Target
from tiphys.kubelet.runtime_state import PodRuntime, RuntimeContainer
from tiphys.kubelet.sync_plan import Kill

log = logging.getLogger(__name__)

GRACE_SECONDS_MIN: Final = 2  # kuberuntime_manager.go minimumGracePeriodInSeconds
STOP_SLACK_SECONDS: Final = 120.0  # runtimeRequestTimeout on top of the grace.


def probe_grace(pod: Obj, container: Obj, kill: Kill) -> int:
    """A probe may have a grace of its own. Upstream: setTerminationGracePeriod."""
    own = at(container, f"{kill.probe}Probe", "terminationGracePeriodSeconds")
    if kill.probe and own is not None and not at(pod, "metadata", "deletionTimestamp"):
        return int(own)
    return grace_seconds(pod)


class PodKiller:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def kill_container(
        self, pod: Obj, running: RuntimeContainer, message: str, grace: int
    ) -> None:
        """Returns when the container has ended. Raises CriError."""
        deps = self._deps
        found = find_container(pod, running.name)
        deps.events.container(
            pod, running.name, NORMAL, "Killing", message or f"Stopping container {running.name}"
        )
        if found is not None and grace > 0:
            grace -= await self._pre_stop(pod, found[1], running, grace)
        grace = max(grace, GRACE_SECONDS_MIN)
        request = {"container_id": running.id, "timeout": grace}
        try:
            await deps.cri.call("StopContainer", request, grace + STOP_SLACK_SECONDS)
        except CriError as exc:
            if exc.code != "NOT_FOUND":
                raise

    async def _pre_stop(
        self, pod: Obj, container: Obj, running: RuntimeContainer, grace: int
    ) -> int:
        """Whole seconds that the hook took."""
        hook = at(container, "lifecycle", "preStop")
        if not hook:
            return 0
        deps = self._deps
        begun = deps.clock.monotonic()
        ip = next(iter(deps.cache.get(pod["metadata"]["uid"]).ips), "")
        target = Target(pod, container, running, ip or at(pod, "status", "podIP", default=""))
        try:
            async with asyncio.timeout(grace):
                await run_hook(deps.cri, deps.clock, hook, target)
        except TimeoutError:
            log.info("preStop took all of the grace", extra={"container": running.name})
        except HookError as exc:
            log.info("preStop failed", extra={"container": running.name, "why": str(exc)})
            deps.events.container(
                pod, running.name, WARNING, "FailedPreStopHook", "PreStopHook failed"
            )
        return int(deps.clock.monotonic() - begun)

    async def kill_pod(self, pod: Obj, runtime: PodRuntime, grace: int) -> None:
        """All containers, sidecars after the others and in reverse order, then the sandboxes.

        Raises CriError.
        """
        begun = self._deps.clock.monotonic()
        for batch in ordered(pod, runtime):
            left = max(0, grace - int(self._deps.clock.monotonic() - begun))
            await self._kill_all(pod, batch, left)
        for sandbox in runtime.sandboxes:
            await self.stop_sandbox(pod, sandbox.id)

    async def _kill_all(self, pod: Obj, batch: list[RuntimeContainer], grace: int) -> None:
        work = [self.kill_container(pod, running, "", grace) for running in batch]
        for result in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(result, CriError):
                self._deps.events.pod(
                    pod, WARNING, "FailedKillPod", f"error killing pod: {error_text(result)}"
                )
                raise result
            if isinstance(result, BaseException):
                raise result

    async def stop_sandbox(self, pod: Obj, sandbox_id: str) -> None:
        """Raises CriError."""
        try:
            await self._deps.cri.call("StopPodSandbox", {"pod_sandbox_id": sandbox_id})
        except CriError as exc:
            if exc.code != "NOT_FOUND":
                raise

    async def remove(self, runtime: PodRuntime) -> None:
        """Every trace of the pod in the runtime; all of it has been stopped. Raises CriError."""
        for container in runtime.containers:
            await self._remove("RemoveContainer", "container_id", container.id)
        for sandbox in runtime.sandboxes:
            await self._remove("RemovePodSandbox", "pod_sandbox_id", sandbox.id)

    async def remove_container(self, container_id: str) -> None:
        await self._remove("RemoveContainer", "container_id", container_id)

    async def _remove(self, method: str, field: str, name: str) -> None:
        try:
            await self._deps.cri.call(method, {field: name})
        except CriError as exc:
            if exc.code != "NOT_FOUND":
                raise


def ordered(pod: Obj, runtime: PodRuntime) -> list[list[RuntimeContainer]]:
    """Batches to end one after the other: main and ephemeral first, then each sidecar alone."""
    alive = [c for c in runtime.containers if c.state in ("running", "unknown")]
    sidecars = [c["name"] for c in at(pod, "spec", "initContainers", default=[]) if is_sidecar(c)]
    first = [c for c in alive if c.name not in sidecars]
    rest = [[c for c in alive if c.name == name] for name in reversed(sidecars)]
    return [batch for batch in [first, *rest] if batch]
