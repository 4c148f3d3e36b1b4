"""Pod garbage collector: pods that no kubelet will ever finish.

Upstream: pkg/controller/podgc/gc_controller.go.
Reads Pod, Node. Deletes pods of nodes that are gone, unscheduled pods that are being deleted, and
the oldest finished pods beyond a threshold.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import Obj, at, is_terminating, name_of, namespace_of, rfc3339
from tiphys.client.controller import Context
from tiphys.controllers import owners, pods
from tiphys.controllers.kinds import NODES, PODS

log = logging.getLogger(__name__)

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
    return Plan((*surplus, *unscheduled, *stuck), tuple(lost))


def final_status(pod: Obj, moment: str, *, orphaned: bool) -> Obj | None:
    """What to write into a pod's status before it is deleted; None when nothing is left to say.

    moment: RFC 3339. Source: markFailedAndDeletePodWithCondition.
    """
    if pods.is_finished(pod):
        return None
    generation = at(pod, "metadata", "generation", default=0)
    observed: Obj = {"observedGeneration": generation} if generation else {}
    status: Obj = {"phase": "Failed"} | observed
    if orphaned:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists",
            "lastProbeTime": None,
            "lastTransitionTime": moment,
        }
        status["conditions"] = [condition | observed]
    return status


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
            await self._mark_and_delete(pod, orphaned=False)
        for pod in changes.orphaned:
            await self._mark_and_delete(pod, orphaned=True)

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

    async def _mark_and_delete(self, pod: Obj, *, orphaned: bool) -> None:
        """A pod that could not be marked stays until the next round. Gone already is well."""
        moment = rfc3339(self._clock.now())
        status = final_status(pod, moment, orphaned=orphaned)
        name, namespace = name_of(pod), namespace_of(pod)
        try:
            if status is not None:
                await self._client.patch(PODS, name, {"status": status}, namespace, "status")
            await self._client.delete(PODS, name, namespace, grace_period_seconds=0)
        except NotFound:
            return
        except ApiError as exc:
            log.info("pod not collected", extra={"pod": f"{namespace}/{name}", "why": exc.message})
