"""Makes room: marks and deletes the victims of a preemption, and tells why.

Upstream: pkg/scheduler/framework/preemption/executor.go (prepareCandidate).
"""

import logging
from collections.abc import Sequence
from typing import Final

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    at,
    is_terminating,
    name_of,
    namespace_of,
    rfc3339,
    uid_of,
)
from tiphys.client.recorder import EventRecorder
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock
from tiphys.scheduler.framework import PodInfo
from tiphys.scheduler.plugins.default_preemption import REASON, Preemption

log = logging.getLogger(__name__)

PODS: Final = GroupVersionResource("", "v1", "pods")
BUDGETS: Final = GroupVersionResource("policy", "v1", "poddisruptionbudgets")


class Preemptor:
    def __init__(
        self, client: Client, recorder: EventRecorder, clock: Clock, scheduler_name: str
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._scheduler_name = scheduler_name

    async def budgets(self) -> Sequence[Obj]:
        """All PodDisruptionBudgets; asked for only when somebody may have to go."""
        try:
            listed = await self._client.list(BUDGETS)
        except ApiError as exc:
            log.warning("budgets not read, none counts", extra={"why": exc.message})
            return ()
        items: Sequence[Obj] = listed["items"]
        return items

    async def make_room(self, pod: PodInfo, preemption: Preemption) -> None:
        """Delete the victims; pods that waited for the same room must look for another."""
        assert preemption.candidate is not None
        for displaced in preemption.displaced:
            await self._displace(displaced.pod)
        for victim in preemption.candidate.victims:
            await self._evict(victim.pod, pod.pod, preemption.candidate.node)

    async def _displace(self, pod: Obj) -> None:
        patch = {"status": {"nominatedNodeName": None}}
        try:
            await self._client.patch(PODS, name_of(pod), patch, namespace_of(pod), "status")
        except ApiError as exc:
            log.info("nomination not taken back", extra={"pod": name_of(pod), "why": exc.message})

    async def _evict(self, victim: Obj, preemptor: Obj, node: str) -> None:
        name, namespace = name_of(victim), namespace_of(victim)
        if is_terminating(victim):
            return
        try:
            await self._client.patch(PODS, name, self._mark(victim), namespace, "status")
            await self._client.delete(PODS, name, namespace, uid=uid_of(victim))
        except NotFound:
            return
        except ApiError as exc:
            log.warning("victim not deleted", extra={"pod": name, "why": exc.message})
            return
        text = f"Preempted by pod {uid_of(preemptor)} on node {node}"
        self._recorder.event(victim, "Normal", "Preempted", text, action="Preempting")

    def _mark(self, victim: Obj) -> Obj:
        text = f"{self._scheduler_name}: preempting to accommodate a higher priority pod"
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": REASON,
            "message": text,
            "lastProbeTime": None,
            "lastTransitionTime": rfc3339(self._clock.now()),
            "observedGeneration": at(victim, "metadata", "generation", default=1),
        }
        types = [c["type"] for c in at(victim, "status", "conditions", default=[])]
        order = [{"type": t} for t in dict.fromkeys([*types, condition["type"]])]
        return {"status": {"$setElementOrder/conditions": order, "conditions": [condition]}}
