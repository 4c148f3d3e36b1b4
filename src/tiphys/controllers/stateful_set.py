"""StatefulSet controller: pods with ordinals, each with claims of its own, in order.

Upstream: pkg/controller/statefulset/stateful_set.go, stateful_set_control.go,
stateful_pod_control.go. Reads StatefulSet, Pod, ControllerRevision, PersistentVolumeClaim.
Writes Pod, PersistentVolumeClaim, ControllerRevision, StatefulSet/status.
Decisions are in stateful_rollout.py and stateful_identity.py.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from tiphys.api import labels
from tiphys.api.errors import AlreadyExists, ApiError, Conflict, NotFound
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
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers import controller_history, owners, pods
from tiphys.controllers import stateful_identity as identity
from tiphys.controllers import stateful_rollout as rollout
from tiphys.controllers.kinds import (
    CONTROLLER_REVISIONS,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    STATEFUL_SETS,
)
from tiphys.controllers.pod_control import slow_start

REVISION_HASH: Final = "controller.kubernetes.io/hash"


class StatefulSetController(KeyedController):
    name = "statefulset-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("statefulset-controller")
        self._clock = context.clock
        self._recorder = context.recorder(self.name)
        self._sets = context.informers.of(STATEFUL_SETS)
        self._claims = context.informers.of(PERSISTENT_VOLUME_CLAIMS)
        self._pods = owners.index_of(context.informers.of(PODS))
        self._revisions = owners.index_of(context.informers.of(CONTROLLER_REVISIONS))
        self._sets.on_change(self.enqueue)
        context.informers.of(PODS).on_change(self._pod_changed)

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        for pod in (old, new):
            reference = controller_of(pod) if pod is not None else None
            if pod is not None and reference is not None and reference["kind"] == "StatefulSet":
                self.queue.add(ObjectKey(namespace_of(pod), reference["name"]))
        if new is not None and controller_of(new) is None:
            self._enqueue_matching(new)

    def _enqueue_matching(self, pod: Obj) -> None:
        for stateful_set in self._sets.items():
            if namespace_of(stateful_set) != namespace_of(pod):
                continue
            if labels.matches_object(at(stateful_set, "spec", "selector"), labels_of(pod)):
                self.queue.add(key_of(stateful_set))

    async def reconcile(self, key: ObjectKey) -> float | None:
        stateful_set = self._sets.get(key)
        if stateful_set is None:
            return None
        history = await self._claimed_revisions(stateful_set)
        mine = await owners.claimed(
            self._client,
            PODS,
            stateful_set,
            self._pods,
            may_own=partial(identity.is_member, stateful_set),
        )
        known = {name_of(r): r for r in (*history.old, history.current)}
        noted = at(stateful_set, "status", "currentRevision", default="")
        revisions = rollout.Revisions(known.get(noted, history.current), history.current)
        now = self._clock.now()
        plan = rollout.plan(stateful_set, mine, revisions, now)
        error = await self._apply(stateful_set, plan)
        await self._write_status(stateful_set, mine, revisions, updating=plan.updating)
        if error is not None:
            raise error
        await self._clean_up(stateful_set, mine, history, revisions)
        return self._again_after(stateful_set, mine)

    async def _claimed_revisions(self, stateful_set: Obj) -> controller_history.History:
        revisions = await owners.claimed(
            self._client, CONTROLLER_REVISIONS, stateful_set, self._revisions
        )
        return await controller_history.note_current(
            self._client, STATEFUL_SETS, stateful_set, revisions, REVISION_HASH
        )

    async def _apply(self, stateful_set: Obj, plan: rollout.Plan) -> ApiError | None:
        """Everything of the plan; the first error."""
        try:
            for pod in plan.kept:
                await self._repair(stateful_set, pod)
            for pod in plan.condemned:
                if not is_terminating(stateful_set):
                    await self._own_claims(stateful_set, pod)
        except ApiError as exc:
            return exc
        creations = [partial(self._create, stateful_set, pod) for pod in plan.create]
        _, error = await slow_start(creations)
        deletions = [self._delete(stateful_set, pod) for pod in plan.delete]
        errors = await asyncio.gather(*deletions)
        return error or next((e for e in errors if e is not None), None)

    async def _create(self, stateful_set: Obj, pod: Obj) -> None:
        for claim in self._claims_of(stateful_set, pod):
            if identity.is_stale(claim, pod):
                raise Conflict(f"pvc {name_of(claim)} is being deleted")
        try:
            await self._make_claims(stateful_set, pod)
            await self._client.create(PODS, pod)
        except AlreadyExists:
            raise  # The cache lags, or another's pod has the name: look again.
        except ApiError as exc:
            self._say(stateful_set, "create", f"Pod {name_of(pod)}", exc)
            raise
        self._say(stateful_set, "create", f"Pod {name_of(pod)}")

    async def _delete(self, stateful_set: Obj, pod: Obj) -> ApiError | None:
        try:
            await self._client.delete(PODS, name_of(pod), namespace_of(pod), uid=uid_of(pod))
        except NotFound:
            return None
        except ApiError as exc:
            self._say(stateful_set, "delete", f"Pod {name_of(pod)}", exc)
            return exc
        self._say(stateful_set, "delete", f"Pod {name_of(pod)}")
        return None

    async def _repair(self, stateful_set: Obj, pod: Obj) -> None:
        """Claims of a pod that waits for them, their owners, and the pod's own labels."""
        if pods.phase(pod) == "Pending":
            await self._make_claims(stateful_set, pod)
        await self._own_claims(stateful_set, pod)
        wanted = identity.with_identity(stateful_set, pod)
        if wanted == pod:
            return
        try:
            await self._client.update(PODS, wanted)
        except ApiError as exc:
            self._say(stateful_set, "update", f"Pod {name_of(pod)}", exc)
            raise
        self._say(stateful_set, "update", f"Pod {name_of(pod)}")

    def _claims_of(self, stateful_set: Obj, pod: Obj) -> list[Obj]:
        names = identity.claim_names(stateful_set, pod).values()
        keys = [ObjectKey(namespace_of(stateful_set), name) for name in names]
        return [claim for key in keys if (claim := self._claims.get(key)) is not None]

    async def _own_claims(self, stateful_set: Obj, pod: Obj) -> None:
        for claim in self._claims_of(stateful_set, pod):
            wanted = identity.with_owner(claim, stateful_set, pod)
            if wanted is not claim:
                await self._client.update(PERSISTENT_VOLUME_CLAIMS, wanted)

    async def _make_claims(self, stateful_set: Obj, pod: Obj) -> None:
        """Raises ApiError; a claim that goes away is waited for."""
        for claim in identity.new_claims(stateful_set, pod):
            there = self._claims.get(key_of(claim))
            if there is not None and is_terminating(there):
                raise Conflict(f"pvc {name_of(claim)} is being deleted")
            if there is not None:
                continue
            what = f"Claim {name_of(claim)} Pod {name_of(pod)}"
            try:
                await self._client.create(PERSISTENT_VOLUME_CLAIMS, claim)
            except AlreadyExists:
                continue
            except ApiError as exc:
                what = f"Claim {name_of(claim)} for Pod {name_of(pod)}"
                self._say(stateful_set, "create", what, exc)
                raise
            self._say(stateful_set, "create", what, done="success")

    def _say(
        self,
        stateful_set: Obj,
        verb: str,
        what: str,
        error: ApiError | None = None,
        done: str = "successful",
    ) -> None:
        title = verb.title()
        whose = f"{what} in StatefulSet {name_of(stateful_set)}"
        if error is None:
            reason, kind, end = f"Successful{title}", "Normal", done
        else:
            reason, kind, end = f"Failed{title}", "Warning", f"failed error: {error.message}"
        verb = verb if what.startswith("Claim") else title
        self._recorder.event(stateful_set, kind, reason, f"{verb} {whose} {end}")

    async def _write_status(
        self,
        stateful_set: Obj,
        mine: Sequence[Obj],
        revisions: rollout.Revisions,
        *,
        updating: bool,
    ) -> None:
        wanted = rollout.status_of(
            stateful_set, mine, revisions, self._clock.now(), updating=updating
        )
        if wanted == stateful_set.get("status"):
            return
        changed = {**stateful_set, "status": wanted}
        try:
            await self._client.update(STATEFUL_SETS, changed, subresource="status")
        except NotFound:
            return

    async def _clean_up(
        self,
        stateful_set: Obj,
        mine: Sequence[Obj],
        history: controller_history.History,
        revisions: rollout.Revisions,
    ) -> None:
        live = {name_of(revisions.current), *map(identity.revision_of, mine)}
        idle = [r for r in history.old if name_of(r) not in live]
        surplus = controller_history.to_clean_up(stateful_set, idle, set())
        await controller_history.clean_up(self._client, surplus)

    def _again_after(self, stateful_set: Obj, mine: Sequence[Obj]) -> float | None:
        """When the next pod becomes available by time alone."""
        seconds = int(at(stateful_set, "spec", "minReadySeconds", default=0))
        now = self._clock.now()
        waits = any(
            rollout.is_ready(p) and not rollout.is_available(stateful_set, p, now) for p in mine
        )
        return float(seconds) if seconds and waits else None
