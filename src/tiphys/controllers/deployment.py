"""Deployment controller: move pods from old ReplicaSets to the new one.

Upstream: pkg/controller/deployment/deployment_controller.go, sync.go, rolling.go, recreate.go.
Reads Deployment, ReplicaSet, Pod. Writes ReplicaSet, Deployment (annotation), Deployment/status.
Decisions are in rollout.py and rollout_status.py.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.api import labels
from tiphys.api.errors import AlreadyExists, ApiError, NotFound
from tiphys.api.meta import (
    Obj,
    ObjectKey,
    annotations_of,
    at,
    controller_of,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers import owners, pods, rollout, rollout_status
from tiphys.controllers.hashing import template_hash
from tiphys.controllers.kinds import DEPLOYMENTS, PODS, REPLICA_SETS
from tiphys.controllers.pod_control import is_namespace_ending


@dataclass(slots=True)
class _Sync:
    """One sync's view: the Deployment and its ReplicaSets as last written."""

    deployment: Obj
    old: list[Obj]
    new: Obj | None

    @property
    def sets(self) -> list[Obj]:
        return [*self.old, self.new] if self.new is not None else list(self.old)

    def replace(self, rs: Obj) -> None:
        if self.new is not None and uid_of(self.new) == uid_of(rs):
            self.new = rs
        self.old = [rs if uid_of(o) == uid_of(rs) else o for o in self.old]


class DeploymentController(KeyedController):
    name = "deployment-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("deployment-controller")
        self._clock = context.clock
        self._recorder = context.recorder(self.name)
        self._deployments = context.informers.of(DEPLOYMENTS)
        self._sets = owners.index_of(context.informers.of(REPLICA_SETS))
        self._pods = owners.index_of(context.informers.of(PODS))
        self._deployments.on_change(self.enqueue)
        context.informers.of(REPLICA_SETS).on_change(self._set_changed)
        context.informers.of(PODS).on_change(self._pod_changed)

    def _set_changed(self, old: Obj | None, new: Obj | None) -> None:
        for rs in (old, new):
            reference = controller_of(rs) if rs is not None else None
            if rs is not None and reference is not None and reference["kind"] == "Deployment":
                self.queue.add(ObjectKey(namespace_of(rs), reference["name"]))
        if new is not None and controller_of(new) is None:
            for deployment in self._deployments.items():
                selector = labels.from_object(at(deployment, "spec", "selector"))
                same = namespace_of(deployment) == namespace_of(new)
                if same and selector.matches(labels_of(new)):
                    self.queue.add(key_of(deployment))

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """A Recreate rollout waits for the last old pod to go."""
        if new is not None or old is None:
            return
        reference = controller_of(old)
        if reference is None or reference["kind"] != "ReplicaSet":
            return
        for deployment in self._deployments.items():
            if namespace_of(deployment) == namespace_of(old) and not rollout.is_rolling(deployment):
                self.queue.add(key_of(deployment))

    async def reconcile(self, key: ObjectKey) -> float | None:
        deployment = self._deployments.get(key)
        if deployment is None:
            return None
        sets = await owners.claimed(self._client, REPLICA_SETS, deployment, self._sets)
        if is_terminating(deployment):
            return await self._write_status(_split(deployment, sets))
        deployment = await self._note_pause(deployment)
        if rollout.is_paused(deployment) or rollout.was_scaled(deployment, sets):
            sync = await self._prepared(deployment, sets, create=False)
            await self._scale_all(sync)
            if rollout.is_paused(deployment):
                await self._clean_up(sync)
            return await self._write_status(sync, progress=False)
        if rollout.is_rolling(deployment):
            return await self._roll(deployment, sets)
        return await self._recreate(deployment, sets)

    async def _roll(self, deployment: Obj, sets: Sequence[Obj]) -> float | None:
        sync = await self._prepared(deployment, sets, create=True)
        if sync.new is None:
            return None
        wanted = self._new_size(sync)
        if wanted != rollout.replicas(sync.new):
            await self._scale(sync, sync.new, wanted)
        else:
            for change in rollout.scale_down_old(sync.deployment, sync.sets, sync.old, sync.new):
                await self._scale(sync, change.rs, change.count)
        return await self._finish(sync)

    @staticmethod
    def _new_size(sync: _Sync) -> int:
        assert sync.new is not None
        count = rollout.replicas(sync.deployment)
        if rollout.replicas(sync.new) > count:
            return count
        return rollout.new_replicas(sync.deployment, sync.sets, sync.new)

    async def _recreate(self, deployment: Obj, sets: Sequence[Obj]) -> float | None:
        sync = await self._prepared(deployment, sets, create=False)
        active = [rs for rs in sync.old if rollout.replicas(rs) > 0]
        for rs in active:
            await self._scale(sync, rs, 0)
        if active or self._old_pods_run(sync):
            return await self._write_status(sync)
        if sync.new is None:
            sync = await self._prepared(deployment, sets, create=True)
        if sync.new is not None:
            await self._scale(sync, sync.new, rollout.replicas(deployment))
        return await self._finish(sync)

    def _old_pods_run(self, sync: _Sync) -> bool:
        return any(
            not pods.is_finished(pod) for rs in sync.old for pod in self._pods.owned_by(uid_of(rs))
        )

    async def _finish(self, sync: _Sync) -> float | None:
        status = rollout_status.counted(sync.deployment, sync.sets, sync.new)
        if rollout_status.is_complete(sync.deployment, status):
            await self._clean_up(sync)
        return await self._write_status(sync)

    async def _prepared(self, deployment: Obj, sets: Sequence[Obj], *, create: bool) -> _Sync:
        """Revisions written, the new ReplicaSet made if wanted. Source: getNewReplicaSet."""
        sync = _split(deployment, sets)
        number = max((rollout.revision(rs) for rs in sync.old), default=0) + 1
        if sync.new is not None:
            await self._bring_up_to_date(sync, number)
            return sync
        if not create:
            return sync
        await self._create_set(sync, number)
        return sync

    async def _bring_up_to_date(self, sync: _Sync, number: int) -> None:
        rs = sync.new
        assert rs is not None
        notes = rollout.rs_annotations(sync.deployment, rs, number)
        seconds = at(sync.deployment, "spec", "minReadySeconds", default=0)
        if notes != annotations_of(rs) or seconds != at(rs, "spec", "minReadySeconds", default=0):
            changed: Obj = {
                **rs,
                "metadata": {**rs["metadata"], "annotations": notes},
                "spec": {**rs["spec"], "minReadySeconds": seconds},
            }
            rs = await self._client.update(REPLICA_SETS, changed)
            sync.replace(rs)
        await self._note_revision(sync, annotations_of(rs).get(rollout.REVISION, str(number)))
        if rollout_status.has_deadline(sync.deployment) and not _progress_is_known(sync.deployment):
            text = f'Found new replica set "{name_of(rs)}"'
            await self._note_progress(sync, "True", "FoundNewReplicaSet", text)

    async def _create_set(self, sync: _Sync, number: int) -> None:
        deployment = sync.deployment
        wanted = self._wanted_set(deployment, sync.old, number)
        try:
            created = await self._client.create(REPLICA_SETS, wanted)
        except AlreadyExists:
            if not await self._is_collision(deployment, wanted):
                return  # Our own write of a moment ago: the cache will show it.
            raise
        except ApiError as exc:
            if not is_namespace_ending(exc):
                text = f'Failed to create new replica set "{name_of(wanted)}": {exc.message}'
                await self._note_progress(sync, "False", "ReplicaSetCreateError", text)
            raise
        sync.new = created
        if rollout.replicas(created) > 0:
            self._say_scaled(deployment, created, 0, rollout.replicas(created))
        await self._note_revision(sync, str(number))
        if rollout_status.has_deadline(deployment):
            text = f'Created new replica set "{name_of(created)}"'
            await self._note_progress(sync, "True", "NewReplicaSetCreated", text)

    async def _is_collision(self, deployment: Obj, wanted: Obj) -> bool:
        """Another object has our name: note it, so that the next hash differs."""
        existing = await self._client.get(REPLICA_SETS, name_of(wanted), namespace_of(wanted))
        reference = controller_of(existing)
        ours = reference is not None and reference.get("uid") == uid_of(deployment)
        if ours and rollout.new_replica_set(deployment, [existing]) is not None:
            return False
        count = int(at(deployment, "status", "collisionCount", default=0)) + 1
        status = {**(deployment.get("status") or {}), "collisionCount": count}
        await self._client.update(
            DEPLOYMENTS, {**deployment, "status": status}, subresource="status"
        )
        return True

    @staticmethod
    def _wanted_set(deployment: Obj, old: Sequence[Obj], number: int) -> Obj:
        template: Obj = copy.deepcopy(at(deployment, "spec", "template", default={}))
        collisions = int(at(deployment, "status", "collisionCount", default=0))
        value = template_hash(template, collisions)
        described = template.setdefault("metadata", {})
        described["labels"] = rollout.labels_with_hash(described.get("labels") or {}, value)
        selector: Obj = copy.deepcopy(at(deployment, "spec", "selector", default={}))
        selector["matchLabels"] = rollout.labels_with_hash(selector.get("matchLabels") or {}, value)
        count = rollout.replicas(deployment)
        limit = count + rollout.max_surge(deployment)
        return {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{name_of(deployment)}-{value}",
                "namespace": namespace_of(deployment),
                "ownerReferences": [owners.owner_reference(deployment)],
                "labels": described["labels"],
                "annotations": rollout.rs_annotations(deployment, None, number)
                | rollout.replica_annotations(count, limit),
            },
            "spec": {
                "replicas": rollout.new_replicas(deployment, old, None),
                "minReadySeconds": at(deployment, "spec", "minReadySeconds", default=0),
                "selector": selector,
                "template": template,
            },
        }

    async def _scale_all(self, sync: _Sync) -> None:
        """Sizes after spec.replicas changed. Source: sync.go scale."""
        active = [rs for rs in sync.sets if rollout.replicas(rs) > 0]
        if len(active) <= 1:
            chosen = active[0] if active else sync.new or _latest(sync.old)
            if chosen is not None:
                await self._scale(sync, chosen, rollout.replicas(sync.deployment))
            return
        if sync.new is not None and _is_saturated(sync.deployment, sync.new):
            for rs in active:
                if uid_of(rs) != uid_of(sync.new):
                    await self._scale(sync, rs, 0)
            return
        if rollout.is_rolling(sync.deployment):
            sizes = rollout.proportions(sync.deployment, active)
            for rs in active:
                await self._scale(sync, rs, sizes[name_of(rs)])

    async def _scale(self, sync: _Sync, rs: Obj, count: int) -> None:
        """Write a size and the annotations that remember it; no difference, no write."""
        deployment = sync.deployment
        whole = rollout.replicas(deployment)
        noted = rollout.replica_annotations(whole, whole + rollout.max_surge(deployment))
        before = rollout.replicas(rs)
        if before == count and noted.items() <= annotations_of(rs).items():
            return
        changed = {
            **rs,
            "metadata": {**rs["metadata"], "annotations": annotations_of(rs) | noted},
            "spec": {**rs["spec"], "replicas": count},
        }
        sync.replace(await self._client.update(REPLICA_SETS, changed))
        if before != count:
            self._say_scaled(deployment, rs, before, count)

    def _say_scaled(self, deployment: Obj, rs: Obj, before: int, after: int) -> None:
        way = "up" if after > before else "down"
        text = f"Scaled {way} replica set {name_of(rs)} from {before} to {after}"
        self._recorder.event(deployment, "Normal", "ScalingReplicaSet", text)

    async def _clean_up(self, sync: _Sync) -> None:
        for rs in rollout.to_clean_up(sync.deployment, sync.old):
            try:
                await self._client.delete(REPLICA_SETS, name_of(rs), namespace_of(rs))
            except NotFound:
                continue

    async def _note_revision(self, sync: _Sync, number: str) -> None:
        notes = annotations_of(sync.deployment)
        if notes.get(rollout.REVISION) == number:
            return
        metadata = {**sync.deployment["metadata"]}
        metadata["annotations"] = {**notes, rollout.REVISION: number}
        changed = {**sync.deployment, "metadata": metadata}
        # Through the status: an annotation written to the object itself starts a new generation.
        sync.deployment = await self._client.update(DEPLOYMENTS, changed, subresource="status")

    async def _note_progress(self, sync: _Sync, value: str, reason: str, message: str) -> None:
        status: Obj = sync.deployment.get("status") or {}
        changed = rollout_status.with_condition(
            status, "Progressing", value, reason, message, self._clock.now()
        )
        await self._put_status(sync, changed)

    async def _note_pause(self, deployment: Obj) -> Obj:
        """Pausing and resuming move the deadline. Source: checkPausedConditions."""
        if not rollout_status.has_deadline(deployment):
            return deployment
        current = next(
            (c for c in at(deployment, "status", "conditions", default=[]) if _is_progress(c)), None
        )
        if current is not None and current.get("reason") == "ProgressDeadlineExceeded":
            return deployment
        paused = current is not None and current.get("reason") == "DeploymentPaused"
        if rollout.is_paused(deployment) == paused:
            return deployment
        now_paused = rollout.is_paused(deployment)
        status = rollout_status.with_condition(
            deployment.get("status") or {},
            "Progressing",
            "Unknown",
            "DeploymentPaused" if now_paused else "DeploymentResumed",
            "Deployment is paused" if now_paused else "Deployment is resumed",
            self._clock.now(),
        )
        sync = _Sync(deployment, [], None)
        await self._put_status(sync, status)
        return sync.deployment

    async def _write_status(self, sync: _Sync, *, progress: bool = True) -> float | None:
        deployment, now = sync.deployment, self._clock.now()
        status = rollout_status.counted(deployment, sync.sets, sync.new)
        status = rollout_status.with_available(status, deployment, now)
        if progress:
            status = rollout_status.with_progress(status, deployment, sync.new, now)
            status = rollout_status.with_failure(status, sync.sets, sync.new)
        await self._put_status(sync, status)
        return rollout_status.seconds_to_deadline(deployment, status, now)

    async def _put_status(self, sync: _Sync, status: Obj) -> None:
        if status == (sync.deployment.get("status") or {}):
            return
        changed: dict[str, Any] = {**sync.deployment, "status": status}
        try:
            sync.deployment = await self._client.update(DEPLOYMENTS, changed, subresource="status")
        except NotFound:
            return


def _split(deployment: Obj, sets: Sequence[Obj]) -> _Sync:
    new = rollout.new_replica_set(deployment, sets)
    old = [rs for rs in sets if new is None or uid_of(rs) != uid_of(new)]
    return _Sync(deployment, old, new)


def _latest(sets: Sequence[Obj]) -> Obj | None:
    return max(sets, key=owners.created_at, default=None)


def _is_saturated(deployment: Obj, rs: Obj) -> bool:
    """The new ReplicaSet has taken over already. Source: IsSaturated."""
    count = rollout.replicas(deployment)
    noted = annotations_of(rs).get(rollout.DESIRED_REPLICAS)
    return (
        noted is not None
        and noted.isdigit()
        and int(noted) == count == rollout.replicas(rs) == rollout.available(rs)
    )


def _is_progress(found: Obj) -> bool:
    return bool(found.get("type") == "Progressing")


def _progress_is_known(deployment: Obj) -> bool:
    return any(_is_progress(c) for c in at(deployment, "status", "conditions", default=[]))
