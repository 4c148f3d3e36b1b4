"""Drives one pod's worker: events wake it, decisions come from pod_worker.py and sync_plan.py.

One task per pod; it does one thing at a time. A pod that must end interrupts what is going on.
"""

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import Obj, at, is_terminating, key_of, name_of, namespace_of, uid_of
from tiphys.cri.errors import CriError
from tiphys.kubelet import container_log_links, pod_worker
from tiphys.kubelet.admission import refusal
from tiphys.kubelet.container_status import Observed, with_lost_containers_ended
from tiphys.kubelet.deps import Deps
from tiphys.kubelet.pod_cgroup import PodCgroups
from tiphys.kubelet.pod_events import NORMAL, WARNING
from tiphys.kubelet.pod_killer import PodKiller
from tiphys.kubelet.pod_phase import is_terminal
from tiphys.kubelet.pod_status import Verdict, pod_status, rejected_status
from tiphys.kubelet.pod_sync import PodSync, SyncError
from tiphys.kubelet.pod_worker import Life, Stage
from tiphys.kubelet.resources import PODS
from tiphys.kubelet.runtime_state import EMPTY, PodRuntime, RuntimeContainer
from tiphys.kubelet.sandbox_config import pod_log_directory
from tiphys.kubelet.sync_plan import plan
from tiphys.kubelet.termination_message import termination_message
from tiphys.kubelet.volumes.pod_volumes import tear_down
from tiphys.kubelet.volumes.volume import pod_dir
from tiphys.lib.backoff import Backoff
from tiphys.lib.tasks import TaskSet

log = logging.getLogger(__name__)

RESYNC_SECONDS: Final = 60.0  # kubelet SyncFrequency: tokens are renewed, volumes looked at.
SAME_PLAN_SECONDS: Final = 10.0  # kubelet.go backOffPeriod
BUG_SECONDS: Final = 10.0
RETRY_INITIAL_SECONDS: Final = 0.5  # nestedpendingoperations initialDurationBeforeRetry
RETRY_MAX_SECONDS: Final = 122.0  # maxDurationBeforeRetry


class PodLoop:
    """`active_pods` are the other pods of this node, for admission."""

    def __init__(
        self, deps: Deps, cgroups: PodCgroups, pod: Obj, active_pods: Callable[[], list[Obj]]
    ) -> None:
        self.pod = pod
        self.life = Life()
        self._deps = deps
        if (
            is_terminal(at(pod, "status", "phase", default=""))
            and deps.cache.get(uid_of(pod)) == EMPTY
        ):
            # It ended before we started, and nothing of it is left here.
            self.life = Life(Stage.FINISHED)
        self._tasks = TaskSet()
        self._cgroups = cgroups
        self._active_pods = active_pods
        self._killer = PodKiller(deps)
        self._sync = PodSync(deps, self._killer, cgroups)
        self._waiting: dict[str, tuple[str, str]] = {}
        self._admitted = False
        self._wake = asyncio.Event()
        self._wake.set()
        self._work: asyncio.Task[float | None] | None = None
        self._backoff = Backoff(
            initial_seconds=RETRY_INITIAL_SECONDS, max_seconds=RETRY_MAX_SECONDS
        )

    @property
    def uid(self) -> str:
        return uid_of(self.pod)

    def update(self, pod: Obj | None, *, wake: bool = True) -> None:
        """The API's object changed; None when it is gone. What we wrote ourselves is no news."""
        gone = pod is None
        if pod is not None:
            self.pod = pod
        before = self.life
        self._observe(gone=gone)
        if self.life != before and self._work is not None:
            self._work.cancel()
        if wake or self.life != before:
            self.wake()

    def wake(self) -> None:
        self._wake.set()

    def _observe(self, *, gone: bool = False) -> None:
        known = self._deps.statuses.status(self.uid) or {}
        phase = str(known.get("phase") or at(self.pod, "status", "phase", default=""))
        self.life = pod_worker.observe(
            self.life, self._dated(known), gone=gone, phase=phase, now=self._deps.clock.now()
        )

    def _dated(self, known: Obj) -> Obj:
        """The pod with the start time that we know, which the API may not have yet."""
        started = known.get("startTime") or at(self.pod, "status", "startTime")
        return self.pod | {"status": {"startTime": started}}

    async def run(self) -> None:
        """Until the pod is finished and its object gone."""
        while not (self.life.stage is Stage.FINISHED and self.life.object_gone):
            self._wake.clear()
            work = self._work = self._tasks.start(self._step(), f"pod {key_of(self.pod)}")
            try:
                await asyncio.wait([work])
            except asyncio.CancelledError:
                work.cancel()
                raise
            finally:
                self._work = None
            if work.cancelled():
                continue  # Interrupted: look again at once.
            # A bug in one step must not end the pod's loop; the task set has logged it.
            pause = BUG_SECONDS if work.exception() is not None else work.result()
            await self._pause(RESYNC_SECONDS if pause is None else min(pause, RESYNC_SECONDS))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._wake.wait()
        except TimeoutError:
            self._wake.set()

    async def _step(self) -> float | None:
        """One step of the pod's life; returns the seconds after which to look again."""
        self._observe()
        try:
            if self.life.stage is Stage.SYNCING:
                return await self._syncing()
            if self.life.stage is Stage.TERMINATING:
                await self._terminating()
            if self.life.stage is Stage.TERMINATED:
                await self._terminated()
            if self.life.stage is Stage.FINISHED and not self.life.object_gone:
                return await self._finish()
        except SyncError as exc:
            log.info("pod not synced", extra={"pod": str(key_of(self.pod)), "why": str(exc)})
            delay = self._backoff.next_seconds("")
            return delay if exc.retry_seconds is None else exc.retry_seconds
        except CriError as exc:
            log.info("runtime failed", extra={"pod": str(key_of(self.pod)), "why": exc.message})
            return self._backoff.next_seconds("")
        except OSError as exc:
            log.warning("pod not synced", extra={"pod": str(key_of(self.pod)), "why": str(exc)})
            return self._backoff.next_seconds("")
        self._backoff.forget("")
        return None

    # --- syncing

    async def _syncing(self) -> float | None:
        deps, uid = self._deps, self.uid
        runtime = await deps.cache.refresh(uid)
        if not self._admit(runtime):
            return 0.0
        deps.sources.register(self.pod)
        # What was waited for may have been settled meanwhile: the reasons are kept until a start.
        self._publish(runtime)
        self._observe()
        if self.life.stage is not Stage.SYNCING:
            return 0.0
        wanted = plan(self.pod, runtime, deps.prober.results(uid))
        outcome = await self._sync.carry_out(self.pod, runtime, wanted)
        self._backoff.forget("")
        for name in outcome.started:
            self._waiting.pop(name, None)
        self._waiting |= outcome.waiting
        if not wanted.is_empty:
            runtime = await deps.cache.refresh(uid)
            self._publish(runtime)
            self._observe()
            if self.life.stage is not Stage.SYNCING:
                return 0.0
            following = plan(self.pod, runtime, deps.prober.results(uid))
            if following == wanted and (following.resize or following.kill_pod):
                # What was done changed nothing that we can see: that must not keep us busy.
                outcome.retry_in(SAME_PLAN_SECONDS)
            elif not following.is_empty and not outcome.waiting:
                return 0.0
        left = pod_worker.deadline_seconds(
            self._dated(deps.statuses.status(uid) or {}), deps.clock.now()
        )
        pauses = [p for p in (outcome.retry_seconds, left) if p is not None]
        return min(pauses, default=None)

    def _admit(self, runtime: PodRuntime) -> bool:
        """Once, and never again for what runs already."""
        if self._admitted or runtime.sandboxes:
            self._admitted = True
            return True
        verdict = refusal(
            self.pod, self._deps.node(), self._active_pods(), self._deps.allocatable()
        )
        if verdict is None:
            self._admitted = True
            return True
        self._deps.events.pod(self.pod, WARNING, verdict.reason, verdict.message)
        self._deps.statuses.set(
            self.pod, rejected_status(self.pod, verdict, self._deps.clock.now())
        )
        self.life = Life(Stage.FINISHED, None, verdict, self.life.object_gone)
        return False

    def _publish(self, runtime: PodRuntime, *, ended: bool = False) -> Obj:
        """Work the status out and hand it to the writer."""
        deps = self._deps
        deps.prober.update(self.pod, runtime, ending=self.life.stage is not Stage.SYNCING)
        observed = Observed(
            runtime,
            deps.runtime_name,
            self._waiting,
            deps.prober.results(self.uid),
            self._message,
        )
        status = pod_status(
            self.pod,
            observed,
            before=deps.statuses.status(self.uid) or at(self.pod, "status", default={}),
            host_ips=deps.host_ips,
            now=deps.clock.now(),
            ended=ended,
            verdict=self.life.verdict,
        )
        deps.statuses.set(self.pod, status)
        return status

    def _message(self, container: RuntimeContainer) -> str:
        return termination_message(container, pod_dir(self._deps.config.root_dir, self.pod))

    # --- ending

    async def _terminating(self) -> None:
        deps, uid = self._deps, self.uid
        runtime = await deps.cache.refresh(uid)
        verdict: Verdict | None = self.life.verdict
        if verdict is not None and runtime.is_running:
            deps.events.pod(self.pod, NORMAL, verdict.reason, verdict.message)
        self._publish(runtime)
        if runtime.is_running:
            await self._killer.kill_pod(self.pod, runtime, self.life.grace_seconds or 0)
            runtime = await deps.cache.refresh(uid)
            if runtime.is_running:
                raise SyncError("containers still run after they were stopped", 1.0)
        self.life = pod_worker.stopped(self.life)

    async def _terminated(self) -> None:
        deps, uid = self._deps, self.uid
        runtime = await deps.cache.refresh(uid)
        status = self._publish(runtime, ended=True)
        deps.statuses.set(self.pod, with_lost_containers_ended(status, self.pod))
        deps.prober.remove(uid)
        deps.sources.unregister(uid)
        deps.back_off.forget(uid)
        deps.images.forget(uid)
        tear_down(pod_dir(deps.config.root_dir, self.pod))
        self._cgroups.remove(self.pod)
        self.life = pod_worker.cleaned(self.life)

    async def _finish(self) -> float | None:
        """Tell the API that a deleted pod is gone; others stay for their logs."""
        if not is_terminating(self.pod):
            return None
        await self._deps.statuses.flushed(self.uid)
        try:
            await self._deps.client.delete(
                PODS,
                name_of(self.pod),
                namespace_of(self.pod),
                grace_period_seconds=0,
                uid=self.uid,
            )
        except NotFound:
            return None  # Gone already; the watch will say so.
        except ApiError as exc:
            log.info("pod not deleted", extra={"pod": str(key_of(self.pod)), "why": exc.message})
            return self._backoff.next_seconds("")
        return None

    async def clean_up(self) -> None:
        """The object is gone: remove containers, sandbox and logs. Raises CriError."""
        runtime = await self._deps.cache.refresh(self.uid)
        await self._killer.remove(runtime)
        await self._deps.cache.refresh(self.uid)
        self._deps.statuses.forget(self.uid)
        logs = self._deps.config.pod_logs_dir
        folder = pod_log_directory(logs, self.pod)
        container_log_links.remove(logs, self.pod, folder)
        remove_logs(folder)


def remove_logs(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
