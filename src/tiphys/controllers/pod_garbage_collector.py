"""Pod garbage collector: pods that no kubelet will ever finish.

Upstream: pkg/controller/podgc/gc_controller.go.
Reads Pod, Node. Deletes pods of nodes that are gone, unscheduled pods that are being deleted, and
the oldest finished pods beyond a threshold.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import Obj, at, is_terminating, name_of, namespace_of, rfc3339
from tiphys.client.controller import Context
from tiphys.controllers import owners, pods
from tiphys.controllers.kinds import NODES, PODS

CHECK_SECONDS: Final = 20.0  # gcCheckPeriod
QUARANTINE_SECONDS: Final = 40.0  # quarantineTime
TERMINATED_MAX: Final = 12500  # --terminated-pod-gc-threshold
OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"


@dataclass(frozen=True, slots=True)
class Plan:
    delete: tuple[Obj, ...]
    orphaned: tuple[Obj, ...]  # deleted too, after a condition says why


def plan(all_pods: Sequence[Obj], nodes: Collection[str], out_of_service: Collection[str]) -> Plan:
    """nodes: the names that are there or not long enough gone. out_of_service: not-ready ones."""
    finished = sorted(
        (p for p in all_pods if pods.is_finished(p)),
        key=lambda p: (owners.created_at(p), name_of(p)),
    )
    surplus = finished[: max(len(finished) - TERMINATED_MAX, 0)]
    unscheduled = [p for p in all_pods if is_terminating(p) and not pods.node_name(p)]
    lost = [p for p in all_pods if (n := pods.node_name(p)) and n not in nodes]
    stuck = [p for p in all_pods if is_terminating(p) and pods.node_name(p) in out_of_service]
    return Plan((*surplus, *unscheduled), (*lost, *stuck))


class PodGarbageCollector:
    name = "pod-garbage-collector-controller"

    def __init__(self, context: Context) -> None:
        self._client = context.client_for("pod-garbage-collector")
        self._clock = context.clock
        self._pods = context.informers.of(PODS)
        self._nodes = context.informers.of(NODES)
        self._missing_since: dict[str, float] = {}

    async def run(self) -> None:
        while True:
            await self._collect()
            await self._clock.sleep(CHECK_SECONDS)

    async def _collect(self) -> None:
        everything = self._pods.items()
        changes = plan(everything, await self._known_nodes(everything), self._out_of_service())
        for pod in changes.delete:
            await self._delete(pod)
        for pod in changes.orphaned:
            await self._mark(pod)
            await self._delete(pod)

    async def _known_nodes(self, everything: Sequence[Obj]) -> set[str]:
        """Nodes that exist, and those missing for less than the quarantine."""
        present = {name_of(n) for n in self._nodes.items()}
        now = self._clock.monotonic()
        wanted = {pods.node_name(p) for p in everything} - {""} - present
        self._missing_since = {n: self._missing_since.get(n, now) for n in wanted}
        due = {n for n, t in self._missing_since.items() if now - t >= QUARANTINE_SECONDS}
        for name in list(due):
            try:  # The cache may be behind; the server knows.
                await self._client.get(NODES, name)
                due.discard(name)
            except NotFound:
                continue
            except ApiError:
                due.discard(name)
        return present | (wanted - due)

    def _out_of_service(self) -> set[str]:
        return {
            name_of(n)
            for n in self._nodes.items()
            if any(t.get("key") == OUT_OF_SERVICE for t in at(n, "spec", "taints", default=[]))
            and not pods.is_ready(n)
        }

    async def _mark(self, pod: Obj) -> None:
        """Say in the pod why it is deleted; a pod that ran has failed."""
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists",
            "lastTransitionTime": rfc3339(self._clock.now()),
        }
        status: Obj = {"conditions": [condition]}
        if not pods.is_finished(pod):
            status["phase"] = "Failed"
        try:
            await self._client.patch(
                PODS, name_of(pod), {"status": status}, namespace_of(pod), "status"
            )
        except ApiError:
            return

    async def _delete(self, pod: Obj) -> None:
        try:
            await self._client.delete(PODS, name_of(pod), namespace_of(pod), grace_period_seconds=0)
        except ApiError:
            return
