"""ReplicaSet controller: keep exactly spec.replicas active pods of each ReplicaSet.

Upstream: pkg/controller/replicaset/replica_set.go, replica_set_utils.go.
Reads ReplicaSet, Pod. Writes Pod, ReplicaSet/status. Rollouts live in deployment.py.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from tiphys.api import labels
from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import (
    Obj,
    ObjectKey,
    annotations_of,
    at,
    condition,
    controller_of,
    is_terminating,
    key_of,
    labels_of,
    namespace_of,
    parse_time,
    rfc3339,
    uid_of,
)
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers import owners, pods
from tiphys.controllers.expectations import Expectations
from tiphys.controllers.kinds import PODS, REPLICA_SETS
from tiphys.controllers.pod_control import PodControl, pod_from_template, slow_start

BURST_PODS_MAX: Final = 500  # Pods one sync creates or deletes; upstream BurstReplicas.
DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"


@dataclass(frozen=True, slots=True)
class Plan:
    create_count: int
    delete: tuple[Obj, ...]


def plan(rs: Obj, active: Sequence[Obj], related: Sequence[Obj], now: datetime) -> Plan:
    """Decide what one sync changes. `related` are the active pods of the same owner's siblings."""
    surplus = len(active) - wanted_replicas(rs)
    if surplus <= 0:
        return Plan(min(-surplus, BURST_PODS_MAX), ())
    per_node: dict[str, int] = {}
    for pod in related:
        if node := pods.node_name(pod):
            per_node[node] = per_node.get(node, 0) + 1
    by_cost = sorted(active, key=lambda pod: removal_rank(pod, per_node, now))
    return Plan(0, tuple(by_cost[: min(surplus, BURST_PODS_MAX)]))


def wanted_replicas(rs: Obj) -> int:
    return int(at(rs, "spec", "replicas", default=1))


def removal_rank(
    pod: Obj, per_node: dict[str, int], now: datetime
) -> tuple[int, int, int, int, int, float, int, float]:
    """Pods that cost least to lose come first. Source: ActivePodsWithRanks."""
    node = pods.node_name(pod)
    order = {"Pending": 0, "Unknown": 1, "Running": 2}
    ready = pods.is_ready(pod)
    since = at(condition(pod, "Ready"), "lastTransitionTime") if ready else None
    ready_seconds = (now - parse_time(since)).total_seconds() if since else 0.0
    created = owners.created_at(pod)
    age_seconds = (now - parse_time(created)).total_seconds() if created else 0.0
    return (
        1 if node else 0,
        order.get(pods.phase(pod), 0),
        1 if ready else 0,
        deletion_cost(pod),
        -per_node.get(node, 0),
        # Upstream compares ages by their logarithm, so that a second matters only to the young.
        _logarithm(ready_seconds) if ready else 0.0,
        -pods.restart_count(pod),
        _logarithm(age_seconds),
    )


def deletion_cost(pod: Obj) -> int:
    try:
        return int(annotations_of(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _logarithm(seconds: float) -> float:
    return float(int(seconds).bit_length()) if seconds >= 1 else 0.0


def status_of(
    rs: Obj,
    active: Sequence[Obj],
    terminating_count: int,
    failure: tuple[str, str] | None,
    now: datetime,
) -> Obj:
    """The status that a ReplicaSet should show. failure: (reason, message)."""
    template_labels = at(rs, "spec", "template", "metadata", "labels", default={})
    seconds = int(at(rs, "spec", "minReadySeconds", default=0))
    counts = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(
            1 for p in active if template_labels.items() <= labels_of(p).items()
        ),
        "readyReplicas": sum(1 for p in active if pods.is_ready(p)),
        "availableReplicas": sum(1 for p in active if pods.is_available(p, seconds, now)),
    }
    status: Obj = {k: v for k, v in counts.items() if v or k == "replicas"}
    status["observedGeneration"] = int(at(rs, "metadata", "generation", default=0))
    status["terminatingReplicas"] = terminating_count
    if conditions := _conditions(rs, failure, now):
        status["conditions"] = conditions
    return status


def _conditions(rs: Obj, failure: tuple[str, str] | None, now: datetime) -> list[Obj]:
    existing: list[Obj] = at(rs, "status", "conditions", default=[])
    if failure is None:
        return [c for c in existing if c.get("type") != "ReplicaFailure"]
    present = condition(rs, "ReplicaFailure")
    if present is not None and present.get("reason") == failure[0]:
        return existing
    others = [c for c in existing if c.get("type") != "ReplicaFailure"]
    added = {
        "type": "ReplicaFailure",
        "status": "True",
        "lastTransitionTime": rfc3339(now),
        "reason": failure[0],
        "message": failure[1],
    }
    return [*others, added]


class ReplicaSetController(KeyedController):
    """Also the base of the ReplicationController's, which differs in names only, as upstream."""

    name = "replicaset-controller"
    kind = "ReplicaSet"
    resource = REPLICA_SETS

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for(self.name)
        self._clock = context.clock
        self._control = PodControl(self._client, context.recorder(self.name))
        self._expectations = Expectations(context.clock)
        self._sets = context.informers.of(self.resource)
        self._pods = owners.index_of(context.informers.of(PODS))
        self._set_index = owners.index_of(self._sets)
        self._sets.on_change(self.enqueue)
        context.informers.of(PODS).on_change(self._pod_changed)

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        pod = new or old
        assert pod is not None
        for seen in (old, new):
            if seen is not None and (key := self._owner_key(seen)) is not None:
                self.queue.add(key)
        key = self._owner_key(pod)
        if key is None:
            if new is not None and controller_of(new) is None:
                self._enqueue_matching(new)
            return
        if old is None:
            self._expectations.saw_creation(key)
        if new is None or is_terminating(pod):
            self._expectations.saw_deletion(key, uid_of(pod))

    def _owner_key(self, pod: Obj) -> ObjectKey | None:
        reference = controller_of(pod)
        if reference is None or reference.get("kind") != self.kind:
            return None
        return ObjectKey(namespace_of(pod), str(reference["name"]))

    def _enqueue_matching(self, pod: Obj) -> None:
        for rs in self._sets.items():
            selector = labels.from_object(owners.selector_of(rs))
            if namespace_of(rs) == namespace_of(pod) and selector.matches(labels_of(pod)):
                self.queue.add(key_of(rs))

    async def reconcile(self, key: ObjectKey) -> float | None:
        rs = self._sets.get(key)
        if rs is None:
            self._expectations.forget(key)
            return None
        may_change = self._expectations.met(key)
        mine = await self._claimed(rs)
        active = [p for p in mine if pods.is_active(p)]
        failure: tuple[str, str] | None = None
        error: ApiError | None = None
        if may_change and not is_terminating(rs):
            error, failure = await self._change_pods(rs, key, active)
        terminating = sum(1 for p in mine if is_terminating(p) and not pods.is_finished(p))
        await self._write_status(rs, active, terminating, failure)
        if error is not None:
            raise error
        return self._again_after(rs, active)

    async def _claimed(self, rs: Obj) -> list[Obj]:
        """Our pods, orphans adopted and misfits let go."""
        return await owners.claimed(
            self._client, PODS, rs, self._pods, may_adopt=lambda pod: pods.is_active(pod)
        )

    async def _change_pods(
        self, rs: Obj, key: ObjectKey, active: Sequence[Obj]
    ) -> tuple[ApiError | None, tuple[str, str] | None]:
        changes = plan(rs, active, self._related(rs, active), self._clock.now())
        if changes.create_count:
            self._expectations.expect(key, creations=changes.create_count)
            create = partial(self._control.create, rs, pod_from_template(rs))
            created, error = await slow_start([create] * changes.create_count)
            self._expectations.saw_creation(key, changes.create_count - created)
            if error is not None:
                return error, ("FailedCreate", error.message)
        if changes.delete:
            self._expectations.expect(key, deletions=[uid_of(p) for p in changes.delete])
            errors = await asyncio.gather(*[self._delete(rs, key, p) for p in changes.delete])
            error = next((e for e in errors if e is not None), None)
            if error is not None:
                return error, ("FailedDelete", error.message)
        return None, None

    def _related(self, rs: Obj, active: Sequence[Obj]) -> list[Obj]:
        """Pods of all ReplicaSets of the same owner, to spread over nodes."""
        reference = controller_of(rs)
        if reference is None:
            return list(active)
        siblings = self._set_index.owned_by(str(reference.get("uid")))
        found = [p for s in siblings for p in self._pods.owned_by(uid_of(s))]
        return [p for p in found if pods.is_active(p)]

    async def _delete(self, rs: Obj, key: ObjectKey, pod: Obj) -> ApiError | None:
        try:
            await self._control.delete(rs, pod)
        except NotFound:
            self._expectations.saw_deletion(key, uid_of(pod))
        except ApiError as exc:
            self._expectations.saw_deletion(key, uid_of(pod))
            return exc
        return None

    def status_of(
        self,
        rs: Obj,
        active: Sequence[Obj],
        terminating: int,
        failure: tuple[str, str] | None,
    ) -> Obj:
        return status_of(rs, active, terminating, failure, self._clock.now())

    async def _write_status(
        self,
        rs: Obj,
        active: Sequence[Obj],
        terminating: int,
        failure: tuple[str, str] | None,
    ) -> None:
        wanted = self.status_of(rs, active, terminating, failure)
        if wanted == {k: v for k, v in (rs.get("status") or {}).items() if v not in ([],)}:
            return
        try:
            changed = {**rs, "status": wanted}
            await self._client.update(self.resource, changed, subresource="status")
        except NotFound:
            return

    def _again_after(self, rs: Obj, active: Sequence[Obj]) -> float | None:
        """When the next pod becomes available by time alone."""
        seconds = int(at(rs, "spec", "minReadySeconds", default=0))
        now = self._clock.now()
        if not seconds or len(active) != wanted_replicas(rs):
            return None
        ready = sum(1 for p in active if pods.is_ready(p))
        available = sum(1 for p in active if pods.is_available(p, seconds, now))
        return float(seconds) if ready > available else None
