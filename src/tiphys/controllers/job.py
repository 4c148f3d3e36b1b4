"""Job controller: pods until enough of them have succeeded.

Upstream: pkg/controller/job/job_controller.go.
Reads Job, Pod. Writes Pod (and its finalizer), Job/status.
Decisions are in job_sync.py, job_status.py, job_indexes.py and job_pods.py.
"""

import asyncio
import copy
from collections.abc import Sequence
from functools import partial
from typing import Final

from tiphys.api import labels
from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import (
    Obj,
    ObjectKey,
    at,
    controller_of,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from tiphys.client.controller import Context, KeyedController, run_workers
from tiphys.controllers import job_indexes as indexes
from tiphys.controllers import job_status, job_sync, owners
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.expectations import Expectations
from tiphys.controllers.job_pods import FINALIZER, Backoff, has_finalizer
from tiphys.controllers.kinds import JOBS, PODS
from tiphys.controllers.pod_control import PodControl, pod_from_template, slow_start
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.lib.workqueue import WorkQueue

BATCH_SECONDS: Final = 1.0  # Changes of pods within it are one sync; SyncJobBatchPeriod.


class JobController(KeyedController):
    name = "job-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("job-controller")
        self._clock = context.clock
        self._recorder = context.recorder(self.name)
        self._control = PodControl(self._client, self._recorder)
        self._expectations = Expectations(context.clock)
        self._backoffs: dict[ObjectKey, Backoff] = {}
        self._released: set[str] = set()  # uids whose finalizer went; the cache may lag.
        self._orphans: WorkQueue[ObjectKey] = WorkQueue()
        self._jobs = context.informers.of(JOBS)
        self._cached_pods = context.informers.of(PODS)
        self._pods = owners.index_of(self._cached_pods)
        self._jobs.on_change(self._job_changed)
        self._cached_pods.on_change(self._pod_changed)

    async def run(self) -> None:
        tasks = TaskSet()
        orphans = partial(run_workers, self.name, self._orphans, self._release_orphan, 1)
        try:
            tasks.start(keep_running("job orphans", orphans), "job orphans")
            await super().run()
        finally:
            await tasks.close()

    def _job_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None and new is not None and _same_generation(old, new):
            self.queue.add_after(key_of(new), BATCH_SECONDS)  # A status, mostly our own.
        else:
            self.enqueue(old, new)
        gone = old if new is None or job_sync.is_finished(new) else None
        for pod in self._pods.owned_by(uid_of(gone)) if gone is not None else ():
            if has_finalizer(pod):
                self._orphans.add(key_of(pod))

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        pod = new or old
        assert pod is not None
        if new is None or not has_finalizer(new):
            self._released.discard(uid_of(pod))
        for seen in (old, new):
            if seen is not None and (key := _owner_key(seen)) is not None:
                self.queue.add_after(key, BATCH_SECONDS)
        if new is not None and has_finalizer(new) and self._is_orphan(new):
            self._orphans.add(key_of(new))
        key = _owner_key(pod)
        if key is None:
            if new is not None and controller_of(new) is None:
                self._enqueue_matching(new)
            return
        if old is None:
            self._expectations.saw_creation(key)
        if new is None or is_terminating(pod):
            self._expectations.saw_deletion(key, uid_of(pod))

    def _is_orphan(self, pod: Obj) -> bool:
        """Nobody will count it any more."""
        reference = controller_of(pod)
        if reference is None:
            return True
        if reference.get("kind") != "Job":
            return False
        job = self._jobs.get(ObjectKey(namespace_of(pod), str(reference["name"])))
        return job is None or uid_of(job) != reference.get("uid") or job_sync.is_finished(job)

    async def _release_orphan(self, key: ObjectKey) -> float | None:
        pod = self._cached_pods.get(key)
        if pod is not None and has_finalizer(pod) and self._is_orphan(pod):
            await self._remove_finalizer(pod)
        return None

    def _enqueue_matching(self, pod: Obj) -> None:
        for job in self._jobs.items():
            if namespace_of(job) != namespace_of(pod):
                continue
            if labels.matches_object(at(job, "spec", "selector"), labels_of(pod)):
                self.queue.add(key_of(job))

    async def reconcile(self, key: ObjectKey) -> float | None:
        job = self._jobs.get(key)
        if job is None or not job_sync.is_ours(job) or job_sync.is_finished(job):
            self._expectations.forget(key)
            self._backoffs.pop(key, None)
            return None
        may_change = self._expectations.met(key)
        mine = await owners.claimed(self._client, PODS, job, self._pods)
        now = self._clock.now()
        facts = job_sync.Facts(job, mine, frozenset(self._released), now)
        backoff = self._backoffs.get(key, Backoff())
        backoff = backoff.after(facts.new_succeeded(), facts.new_failed(), now)
        end = job_sync.end_of(facts)
        sync = _Sync(facts, key, end, len(facts.active), facts.ready, facts.terminating)
        wait = None
        if end is not None:
            await self._delete_active(sync)
            if sync.active or not may_change:
                sync.end = None  # Pods may be left that were not seen: look again.
        else:
            if may_change and not is_terminating(job):
                wait = await self._change_pods(sync, backoff)
            if job_sync.is_complete(facts, sync.active):
                sync.end = job_sync.new_condition(
                    "SuccessCriteriaMet",
                    "CompletionsReached",
                    "Reached expected number of succeeded pods",
                    now,
                )
        await self._track(sync, backoff, managed=end is None and may_change)
        if sync.error is not None:
            raise sync.error
        left = job_sync.seconds_to_deadline(job, now)
        return min((s for s in (wait, left) if s is not None), default=None)

    async def _delete_active(self, sync: "_Sync") -> None:
        """The Job is over: what runs goes, its finalizer stays until it is counted."""
        await asyncio.gather(*[self._delete(sync, p) for p in sync.facts.active])

    async def _delete(self, sync: "_Sync", pod: Obj) -> None:
        try:
            await self._control.delete(sync.facts.job, pod)
        except NotFound:
            self._expectations.saw_deletion(sync.key, uid_of(pod))
        except ApiError as exc:
            self._expectations.saw_deletion(sync.key, uid_of(pod))
            sync.error = exc
            return
        sync.active -= 1
        sync.terminating += 1
        sync.ready -= pod_facts.is_ready(pod)

    async def _change_pods(self, sync: "_Sync", backoff: Backoff) -> float | None:
        """Seconds to wait for a creation that is put off."""
        plan = job_sync.plan(sync.facts, backoff)
        if plan.delete:
            self._expectations.expect(sync.key, deletions=[uid_of(p) for p in plan.delete])
            await asyncio.gather(*[self._drop(sync, p) for p in plan.delete])
        if plan.create:
            self._expectations.expect(sync.key, creations=len(plan.create))
            creations = [partial(self._create, sync.facts, index) for index in plan.create]
            created, sync.error = await slow_start(creations)
            self._expectations.saw_creation(sync.key, len(plan.create) - created)
            sync.active += created
        return plan.wait_seconds

    async def _drop(self, sync: "_Sync", pod: Obj) -> None:
        """Delete a pod that shall count neither as failed nor as succeeded."""
        try:
            await self._remove_finalizer(pod)
        except ApiError as exc:
            self._expectations.saw_deletion(sync.key, uid_of(pod))
            sync.error = exc
            return
        await self._delete(sync, pod)

    async def _create(self, facts: job_sync.Facts, index: int | None) -> None:
        template = copy.deepcopy(facts.job["spec"]["template"])
        described = template.setdefault("metadata", {})
        described["finalizers"] = [*(described.get("finalizers") or []), FINALIZER]
        if index is not None:
            per_index = indexes.has_limit_per_index(facts.job)
            failures = job_sync.next_failures(facts, index) if per_index else None
            template = indexes.with_index(facts.job, template, index, failures)
        pod = pod_from_template(facts.job, template)
        if index is not None:
            pod["metadata"]["generateName"] = indexes.generate_name(facts.job, index)
        await self._control.create(facts.job, pod)

    async def _track(self, sync: "_Sync", backoff: Backoff, *, managed: bool) -> None:
        """Note uids, remove finalizers, count, end the Job: each step survives a crash."""
        facts = sync.facts
        status = job_status.begun(facts, sync.active, sync.ready, sync.terminating)
        event = None
        if managed and sync.end is None:
            status, event = job_status.with_suspension(facts, status)
        status, release, complete = job_status.noted(facts, status, sync.end)
        if sync.end is not None:
            status = job_status.with_condition(status, sync.end)
        job = await self._write_status(facts.job, status)
        self._backoffs[sync.key] = backoff
        if event is not None:
            self._recorder.event(job, "Normal", *event)
        tracked = {uid_of(p) for p in facts.pods if facts.is_tracked(p)}
        tracked -= await self._release(sync, release)
        status = job_status.counted(status, tracked)
        over = None
        if sync.end is not None and complete:
            over = job_status.finished(status, sync.end, facts.now)
        job = await self._write_status(job, over or status)
        if over is not None and sync.end is not None:
            self._say_finished(job, sync.end)

    async def _release(self, sync: "_Sync", release: Sequence[Obj]) -> set[str]:
        """The uids of those whose finalizer went."""
        results = await asyncio.gather(
            *[self._remove_finalizer(p) for p in release], return_exceptions=True
        )
        gone: set[str] = set()
        for pod, result in zip(release, results, strict=True):
            if isinstance(result, ApiError):
                sync.error = sync.error or result
            elif isinstance(result, BaseException):
                raise result
            else:
                gone.add(uid_of(pod))
        return gone

    async def _remove_finalizer(self, pod: Obj) -> None:
        if not has_finalizer(pod):
            return
        patch = {
            "metadata": {
                "uid": uid_of(pod),
                "$deleteFromPrimitiveList/finalizers": [FINALIZER],
            }
        }
        self._released.add(uid_of(pod))
        try:
            await self._client.patch(PODS, name_of(pod), patch, namespace_of(pod))
        except NotFound:
            self._released.discard(uid_of(pod))
        except ApiError:
            self._released.discard(uid_of(pod))
            raise

    async def _write_status(self, job: Obj, status: Obj) -> Obj:
        if status == job.get("status"):
            return job
        return await self._client.update(JOBS, {**job, "status": status}, subresource="status")

    def _say_finished(self, job: Obj, end: Obj) -> None:
        if end["type"] == "FailureTarget":
            self._recorder.event(job, "Warning", end["reason"], end["message"])
            return
        completions = at(job, "spec", "completions")
        if completions is not None and at(job, "status", "succeeded", default=0) > completions:
            text = "Too many succeeded pods running after completion count reached"
            self._recorder.event(job, "Warning", "TooManySucceededPods", text)
        self._recorder.event(job, "Normal", "Completed", "Job completed")


class _Sync:
    """One sync: its facts, and how its writes changed the counts."""

    def __init__(
        self,
        facts: job_sync.Facts,
        key: ObjectKey,
        end: Obj | None,
        active: int,
        ready: int,
        terminating: int,
    ) -> None:
        self.facts, self.key, self.end = facts, key, end
        self.active, self.ready, self.terminating = active, ready, terminating
        self.error: ApiError | None = None


def _same_generation(old: Obj, new: Obj) -> bool:
    return uid_of(old) == uid_of(new) and at(old, "metadata", "generation") == at(
        new, "metadata", "generation"
    )


def _owner_key(pod: Obj) -> ObjectKey | None:
    reference = controller_of(pod)
    if reference is None or reference.get("kind") != "Job":
        return None
    return ObjectKey(namespace_of(pod), str(reference["name"]))
