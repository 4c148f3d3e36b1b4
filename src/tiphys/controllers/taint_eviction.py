"""Taint eviction: pods leave a node with a NoExecute taint when they no longer tolerate it.

Upstream: pkg/controller/tainteviction/taint_eviction.go.
Reads Node, Pod. Writes Pod/status (DisruptionTarget), deletes Pods.
"""

from collections.abc import Sequence
from datetime import datetime

from tiphys.api.errors import NotFound
from tiphys.api.meta import (
    Obj,
    ObjectKey,
    at,
    is_terminating,
    key_of,
    name_of,
    namespace_of,
    parse_time,
    rfc3339,
)
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers import pods
from tiphys.controllers.kinds import NODES, PODS
from tiphys.controllers.node_fit import tolerates


def seconds_left(pod: Obj, taints: Sequence[Obj], now: datetime) -> float | None:
    """Seconds until the pod must go: 0 = now, None = it may stay."""
    left: list[float] = []
    for taint in taints:
        if taint.get("effect") != "NoExecute":
            continue
        matching = [t for t in at(pod, "spec", "tolerations", default=[]) if tolerates(t, taint)]
        if not matching:
            return 0.0
        limits = [
            float(t["tolerationSeconds"])
            for t in matching
            if t.get("tolerationSeconds") is not None
        ]
        if limits:
            since = taint.get("timeAdded")
            passed = (now - parse_time(since)).total_seconds() if since else 0.0
            left.append(max(min(limits) - passed, 0.0))
    return min(left) if left else None


class TaintEvictionController(KeyedController):
    name = "taint-eviction-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        # Its role holds what is needed, as upstream.
        self._client = context.client_for("node-controller")
        self._clock = context.clock
        self._recorder = context.recorder(self.name)
        self._nodes = context.informers.of(NODES)
        self._pods = context.informers.of(PODS)
        self._nodes.on_change(self._node_changed)
        self._pods.on_change(self._pod_changed)

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and pods.node_name(new) and (old is None or old["spec"] != new["spec"]):
            self.queue.add(key_of(new))

    def _node_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None or at(old, "spec", "taints") == at(new, "spec", "taints"):
            return
        for pod in self._pods.items():
            if pods.node_name(pod) == name_of(new):
                self.queue.add(key_of(pod))

    async def reconcile(self, key: ObjectKey) -> float | None:
        pod = self._pods.get(key)
        if pod is None or is_terminating(pod):
            return None
        node = self._nodes.get(ObjectKey("", pods.node_name(pod)))
        if node is None:
            return None
        left = seconds_left(pod, at(node, "spec", "taints", default=[]), self._clock.now())
        if left is None or left > 0:
            return left
        await self._evict(pod)
        return None

    async def _evict(self, pod: Obj) -> None:
        text = f"Marking for deletion Pod {namespace_of(pod)}/{name_of(pod)}"
        self._recorder.event(pod, "Normal", "TaintManagerEviction", text)
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastProbeTime": None,
            "lastTransitionTime": rfc3339(self._clock.now()),
        }
        if generation := at(pod, "metadata", "generation"):
            condition["observedGeneration"] = generation
        patch = {"status": {"conditions": [condition]}}
        try:
            await self._client.patch(PODS, name_of(pod), patch, namespace_of(pod), "status")
            await self._client.delete(PODS, name_of(pod), namespace_of(pod))
        except NotFound:
            return
