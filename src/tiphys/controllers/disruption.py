"""Disruption controller: keeps PodDisruptionBudgets' status, which evictions spend.

Upstream: pkg/controller/disruption/disruption.go.
Reads PodDisruptionBudget, Pod, the owners' scale. Writes PodDisruptionBudget/status, Pod/status.
Decisions are in disruption_budget.py; evictions in the API server.
"""

import json
from collections.abc import Sequence
from functools import partial

from tiphys.api import labels
from tiphys.api.errors import ApiError, Conflict, InternalError, NotFound
from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    ObjectKey,
    at,
    controller_of,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    rfc3339,
)
from tiphys.client.controller import Context, KeyedController, run_workers
from tiphys.client.rest import Client
from tiphys.controllers import disruption_budget as budgets
from tiphys.controllers.kinds import (
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
)
from tiphys.controllers.pods_by_namespace import pods_by_namespace
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.lib.workqueue import WorkQueue


class DisruptionController(KeyedController):
    name = "controllermanager"  # As upstream signs these events.

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("disruption-controller")
        self._clock = context.clock
        self._recorder = context.recorder(self.name)
        self._stale: WorkQueue[ObjectKey] = WorkQueue()
        self._budgets = context.informers.of(POD_DISRUPTION_BUDGETS)
        self._cached_pods = context.informers.of(PODS)
        self._pods = pods_by_namespace(self._cached_pods)
        self._scales = _Scales(context, self._client)
        self._budgets.on_change(self.enqueue)
        self._cached_pods.on_change(self._pod_changed)

    async def run(self) -> None:
        tasks = TaskSet()
        stale = partial(run_workers, self.name, self._stale, self._take_back, 1)
        try:
            tasks.start(keep_running("stale disruptions", stale), "stale disruptions")
            await super().run()
        finally:
            await tasks.close()

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        for budget in self._budgets.items():
            selector = at(budget, "spec", "selector")
            for pod in (old, new):
                if (
                    pod is not None
                    and namespace_of(pod) == namespace_of(budget)
                    and labels.matches_object(selector, labels_of(pod))
                ):
                    self.queue.add(key_of(budget))
        if new is not None:
            left = budgets.seconds_to_stale(new, self._clock.now())
            if left is not None:
                self._stale.add_after(key_of(new), left)

    async def reconcile(self, key: ObjectKey) -> float | None:
        budget = self._budgets.get(key)
        if budget is None:
            return None
        matches = labels.from_object(at(budget, "spec", "selector")).matches
        selected = self._pods.matching(key.namespace, matches)
        if not selected:
            self._recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        now = self._clock.now()
        try:
            expected = await self._expected(budget, selected)
        except Conflict:
            raise
        except ApiError as exc:
            text = f"Failed to calculate the number of expected pods: {exc.message}"
            self._recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", text)
            await self._write(budget, budgets.failed_status(budget, exc.message, now))
            return None
        going = budgets.disrupted(budget, selected, now)
        for pod in going.overdue:
            where = f"{key.namespace}/{key.name}"
            text = f"Pod was expected by PDB {where} to be deleted but it wasn't"
            self._recorder.event(pod, "Warning", "NotDeleted", text)
        status = budgets.status_of(
            budget,
            healthy=budgets.healthy_count(selected, going.pods),
            expected=expected,
            going=going.pods,
            now=now,
        )
        await self._write(budget, status)
        return going.again_seconds

    async def _expected(self, budget: Obj, selected: Sequence[Obj]) -> int:
        """How many pods there should be. Raises ApiError."""
        if not budgets.needs_scale(budget):
            return len(selected)
        scales: dict[str, int] = {}
        unmanaged = False
        for pod in selected:
            reference = controller_of(pod)
            if reference is None:
                unmanaged = True
            elif reference["uid"] not in scales:
                uid, count = await self._scales.of(reference, pod)
                scales[reference["uid"]] = 0  # Known; its own owner counts where it has one.
                scales[uid] = count
        if unmanaged:
            self._say_unmanaged(budget)
        return sum(scales.values())

    def _say_unmanaged(self, budget: Obj) -> None:
        selector = json.dumps(at(budget, "spec", "selector", default={}), separators=(",", ":"))
        text = (
            f"Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be"
            " unmanaged. As a result, the status of the PDB cannot be calculated correctly, which"
            " may result in undefined behavior. To account for these pods please set"
            ' ".spec.minAvailable" field of the PDB to an integer value.'
        )
        self._recorder.event(budget, "Warning", "UnmanagedPods", text)

    async def _write(self, budget: Obj, status: Obj) -> None:
        if status == budget.get("status"):
            return
        changed = {**budget, "status": status}
        try:
            await self._client.update(POD_DISRUPTION_BUDGETS, changed, subresource="status")
        except NotFound:
            return

    async def _take_back(self, key: ObjectKey) -> float | None:
        """A pod that was to be disrupted and was not."""
        pod = self._cached_pods.get(key)
        left = budgets.seconds_to_stale(pod, self._clock.now()) if pod is not None else None
        if pod is None or left is None:
            return None
        if left > 0:
            return left
        made = {
            "type": "DisruptionTarget",
            "status": "False",
            "lastTransitionTime": rfc3339(self._clock.now()),
            "reason": None,
            "message": None,
        }
        patch = {"status": {"conditions": [made]}}
        try:
            await self._client.patch(PODS, key.name, patch, key.namespace, "status")
        except NotFound:
            return None
        return None


class _Scales:
    """How many pods a pod's controller asks for."""

    def __init__(self, context: Context, client: Client) -> None:
        self._client = client
        self._known = {
            ("", "ReplicationController"): context.informers.of(REPLICATION_CONTROLLERS),
            ("apps", "ReplicaSet"): context.informers.of(REPLICA_SETS),
            ("apps", "Deployment"): context.informers.of(DEPLOYMENTS),
            ("apps", "StatefulSet"): context.informers.of(STATEFUL_SETS),
        }

    async def of(self, reference: Obj, pod: Obj) -> tuple[str, int]:
        """(uid of the topmost controller, its replicas). Raises ApiError."""
        group, _, version = str(reference["apiVersion"]).rpartition("/")
        informer = self._known.get((group, reference["kind"]))
        if informer is None:
            return await self._by_scale(GroupVersionResource(group, version, ""), reference, pod)
        owner = informer.get(ObjectKey(namespace_of(pod), reference["name"]))
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            return reference["uid"], 0
        above = controller_of(owner)
        if above is not None and above["kind"] == "Deployment":
            return await self.of(above, pod)
        return reference["uid"], int(at(owner, "spec", "replicas", default=1))

    async def _by_scale(
        self, gvr: GroupVersionResource, reference: Obj, pod: Obj
    ) -> tuple[str, int]:
        listed = await self._client.request("GET", gvr.path)
        resources: Sequence[Obj] = listed.get("resources") or []
        plain = [r["name"] for r in resources if r["kind"] == reference["kind"]]
        name = next((n for n in plain if "/" not in n), "")
        where = gvr._replace(resource=name)
        if all(r["name"] != f"{name}/scale" for r in resources):
            if not name:
                raise InternalError(f'found no controllers for pod "{name_of(pod)}"')
            shown = f"{name}.{gvr.group}" if gvr.group else name
            raise InternalError(f"{shown} does not implement the scale subresource")
        scale = await self._client.get(where, reference["name"], namespace_of(pod), "scale")
        return reference["uid"], int(at(scale, "spec", "replicas", default=0))
