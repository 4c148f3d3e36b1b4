"""DaemonSet controller: one pod on each node that its template fits.

Upstream: pkg/controller/daemon/daemon_controller.go, update.go.
Reads DaemonSet, Node, Pod, ControllerRevision. Writes Pod, ControllerRevision, DaemonSet/status.
Decisions are in daemon_placement.py and daemon_rollout.py.
"""

import asyncio
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
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers import controller_history, daemon_rollout, owners
from tiphys.controllers import daemon_placement as placing
from tiphys.controllers.expectations import Expectations
from tiphys.controllers.kinds import CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS
from tiphys.controllers.pod_control import PodControl, pod_from_template, slow_start
from tiphys.lib.backoff import Backoff

BURST_PODS_MAX: Final = 250  # Pods one sync creates or deletes; upstream BurstReplicas.
FAILED_PAUSE_SECONDS: Final = 1.0  # Between replacements of failing pods of a node, doubled
FAILED_PAUSE_SECONDS_MAX: Final = 900.0  # up to this; upstream failedPodsBackoff.


class DaemonSetController(KeyedController):
    name = "daemonset-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("daemon-set-controller")
        self._clock = context.clock
        self._recorder = context.recorder(self.name)
        self._control = PodControl(self._client, self._recorder)
        self._expectations = Expectations(context.clock)
        self._failures = Backoff(
            initial_seconds=FAILED_PAUSE_SECONDS, max_seconds=FAILED_PAUSE_SECONDS_MAX
        )
        self._not_before: dict[tuple[ObjectKey, str], float] = {}  # (set, node) -> monotonic
        self._sets = context.informers.of(DAEMON_SETS)
        self._nodes = context.informers.of(NODES)
        self._pods = owners.index_of(context.informers.of(PODS))
        self._revisions = owners.index_of(context.informers.of(CONTROLLER_REVISIONS))
        self._sets.on_change(self.enqueue)
        self._nodes.on_change(self._node_changed)
        context.informers.of(PODS).on_change(self._pod_changed)
        context.informers.of(CONTROLLER_REVISIONS).on_change(self._revision_changed)

    def _node_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None and new is not None and _looks_alike(old, new):
            return
        for daemon_set in self._sets.items():
            before = placing.placement(daemon_set, old) if old is not None else None
            after = placing.placement(daemon_set, new) if new is not None else None
            if before != after:
                self.queue.add(key_of(daemon_set))

    def _revision_changed(self, old: Obj | None, new: Obj | None) -> None:
        for revision in (old, new):
            if revision is not None and (key := self._owner_key(revision)) is not None:
                self.queue.add(key)

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        for seen in (old, new):
            if seen is not None and (key := self._owner_key(seen)) is not None:
                self.queue.add(key)
        pod = new or old
        assert pod is not None
        key = self._owner_key(pod)
        if key is None:
            if new is not None and controller_of(new) is None:
                self._enqueue_matching(new)
            return
        if old is None:
            self._expectations.saw_creation(key)
        if new is None or is_terminating(pod):
            self._expectations.saw_deletion(key, uid_of(pod))

    def _owner_key(self, obj: Obj) -> ObjectKey | None:
        reference = controller_of(obj)
        if reference is None or reference.get("kind") != "DaemonSet":
            return None
        return ObjectKey(namespace_of(obj), str(reference["name"]))

    def _enqueue_matching(self, pod: Obj) -> None:
        for daemon_set in self._sets.items():
            if namespace_of(daemon_set) != namespace_of(pod):
                continue
            if labels.matches_object(at(daemon_set, "spec", "selector"), labels_of(pod)):
                self.queue.add(key_of(daemon_set))

    async def reconcile(self, key: ObjectKey) -> float | None:
        daemon_set = self._sets.get(key)
        if daemon_set is None:
            self._expectations.forget(key)
            for failing in [k for k in self._not_before if k[0] == key]:
                del self._not_before[failing]
                self._failures.forget(failing)
            return None
        if is_terminating(daemon_set):
            return None
        may_change = self._expectations.met(key)
        revisions = await owners.claimed(
            self._client, CONTROLLER_REVISIONS, daemon_set, self._revisions
        )
        history = await controller_history.note_current(
            self._client, DAEMON_SETS, daemon_set, revisions, placing.HASH_LABEL
        )
        value = labels_of(history.current).get(placing.HASH_LABEL, "")
        error, again = None, None
        if may_change:
            error, again = await self._change_pods(daemon_set, key, value)
            if error is None:
                await self._clean_up(daemon_set, history.old)
        waiting = await self._write_status(daemon_set, value, may_change=may_change)
        if error is not None:
            raise error
        return min((s for s in (again, waiting) if s is not None), default=None)

    async def _placed(self, daemon_set: Obj) -> dict[str, list[Obj]]:
        mine = await owners.claimed(self._client, PODS, daemon_set, self._pods)
        return placing.by_node(mine)

    async def _change_pods(
        self, daemon_set: Obj, key: ObjectKey, value: str
    ) -> tuple[ApiError | None, float | None]:
        """(the first error, seconds until a failing pod may be replaced)."""
        now, nodes = self._clock.now(), self._nodes.items()
        placed = await self._placed(daemon_set)
        plan = placing.plan(daemon_set, nodes, placed, value, now)
        again = self._take_finished(daemon_set, plan)
        error = await self._apply(daemon_set, key, plan.create, plan.delete, value)
        if error is not None or not self._expectations.met(key):
            return error, again
        if at(daemon_set, "spec", "updateStrategy", "type") == "RollingUpdate":
            change = daemon_rollout.step(daemon_set, nodes, placed, value, now)
            error = await self._apply(daemon_set, key, change.create, change.delete, value)
        return error, again

    def _take_finished(self, daemon_set: Obj, plan: placing.Plan) -> float | None:
        """Failed and finished pods go too, those that fail again and again ever slower."""
        again: list[float] = []
        moment = self._clock.monotonic()
        for node, pod in plan.failed:
            key = (key_of(daemon_set), node)
            left = self._not_before.get(key, 0.0) - moment
            if left > 0:
                again.append(left)
                continue
            self._not_before[key] = moment + self._failures.next_seconds(key)
            text = placing.failed_text(node, pod)
            self._recorder.event(daemon_set, "Warning", "FailedDaemonPod", text)
            plan.delete.append(pod)
        for node, pod in plan.succeeded:
            text = placing.succeeded_text(node, pod)
            self._recorder.event(daemon_set, "Normal", "SucceededDaemonPod", text)
            plan.delete.append(pod)
        return min(again, default=None)

    async def _apply(
        self,
        daemon_set: Obj,
        key: ObjectKey,
        create: Sequence[str],
        delete: Sequence[Obj],
        value: str,
    ) -> ApiError | None:
        if not create and not delete:
            return None
        create, delete = create[:BURST_PODS_MAX], delete[:BURST_PODS_MAX]
        uids = [uid_of(p) for p in delete]
        self._expectations.expect(key, creations=len(create), deletions=uids)
        creations = [partial(self._create, daemon_set, node, value) for node in create]
        created, error = await slow_start(creations)
        self._expectations.saw_creation(key, len(create) - created)
        errors = await asyncio.gather(*[self._delete(daemon_set, key, p) for p in delete])
        return error or next((e for e in errors if e is not None), None)

    async def _create(self, daemon_set: Obj, node: str, value: str) -> None:
        template = placing.pod_template(daemon_set, node, value)
        await self._control.create(daemon_set, pod_from_template(daemon_set, template))

    async def _delete(self, daemon_set: Obj, key: ObjectKey, pod: Obj) -> ApiError | None:
        try:
            await self._control.delete(daemon_set, pod)
        except NotFound:
            self._expectations.saw_deletion(key, uid_of(pod))
        except ApiError as exc:
            self._expectations.saw_deletion(key, uid_of(pod))
            return exc
        return None

    async def _clean_up(self, daemon_set: Obj, old: Sequence[Obj]) -> None:
        hashes = {
            labels_of(p).get(placing.HASH_LABEL) for p in self._pods.owned_by(uid_of(daemon_set))
        }
        live = {name_of(r) for r in old if labels_of(r).get(placing.HASH_LABEL) in hashes}
        surplus = controller_history.to_clean_up(daemon_set, old, live)
        await controller_history.clean_up(self._client, surplus)

    async def _write_status(self, daemon_set: Obj, value: str, *, may_change: bool) -> float | None:
        """Seconds until a ready pod becomes available by time alone."""
        now = self._clock.now()
        placed = await self._placed(daemon_set)
        wanted = placing.status_of(daemon_set, self._nodes.items(), placed, value, now)
        have = daemon_set.get("status") or {}
        generation = at(daemon_set, "metadata", "generation", default=0)
        observed = generation if may_change else have.get("observedGeneration", 0)
        if observed:
            wanted["observedGeneration"] = observed
        if wanted != have:
            changed = {**daemon_set, "status": wanted}
            try:
                await self._client.update(DAEMON_SETS, changed, subresource="status")
            except NotFound:
                return None
        seconds = at(daemon_set, "spec", "minReadySeconds", default=0)
        waits = seconds and wanted["numberReady"] != wanted.get("numberAvailable", 0)
        return float(seconds) if waits else None


def _looks_alike(old: Obj, new: Obj) -> bool:
    """Nothing changed that placement asks."""
    return labels_of(old) == labels_of(new) and at(old, "spec", "taints") == at(
        new, "spec", "taints"
    )
