"""Node lifecycle: notices nodes that fall silent, and taints by condition.

Upstream: pkg/controller/nodelifecycle/node_lifecycle_controller.go.
Reads Node, Lease, Pod. Writes Node/status (Unknown), Node.spec.taints, Pod/status (not ready).
Evicting by taint lives in taint_eviction.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tiphys.api.errors import ApiError
from tiphys.api.meta import (
    Obj,
    ObjectKey,
    at,
    condition,
    name_of,
    namespace_of,
    rfc3339,
)
from tiphys.client.controller import Context, run_workers
from tiphys.controllers import pods
from tiphys.controllers.kinds import LEASES, NODES, PODS
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.lib.workqueue import WorkQueue

MONITOR_SECONDS: Final = 5.0  # --node-monitor-period
NODE_LEASES: Final = "kube-node-lease"
NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
# Condition -> status -> taint. Source: nodeConditionToTaintKeyStatusMap.
TAINTS: Final[Mapping[str, Mapping[str, str]]] = {
    "Ready": {"False": NOT_READY, "Unknown": UNREACHABLE},
    "MemoryPressure": {"True": "node.kubernetes.io/memory-pressure"},
    "DiskPressure": {"True": "node.kubernetes.io/disk-pressure"},
    "PIDPressure": {"True": "node.kubernetes.io/pid-pressure"},
    "NetworkUnavailable": {"True": "node.kubernetes.io/network-unavailable"},
}
MANAGED: Final = frozenset(
    {key for by_status in TAINTS.values() for key in by_status.values()} | {UNSCHEDULABLE}
)
CONDITIONS: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


def wanted_taints(node: Obj, now: str) -> list[Obj]:
    """The node's taints after its conditions and spec.unschedulable were looked at."""
    have: Sequence[Obj] = at(node, "spec", "taints", default=[])
    keys: set[str] = set()
    for kind, by_status in TAINTS.items():
        found = condition(node, kind)
        if found is not None and (key := by_status.get(str(found.get("status")))):
            keys.add(key)
    if at(node, "spec", "unschedulable"):
        keys.add(UNSCHEDULABLE)
    ready = condition(node, "Ready")
    executing = TAINTS["Ready"].get(str(ready.get("status"))) if ready is not None else None
    wanted = [t for t in have if not _is_managed(t)]
    wanted += [_taint(key, "NoSchedule", have, now) for key in sorted(keys)]
    if executing is not None:
        wanted.append(_taint(executing, "NoExecute", have, now))
    return wanted


def _is_managed(taint: Obj) -> bool:
    if taint["effect"] == "NoSchedule":
        return taint["key"] in MANAGED
    return taint["effect"] == "NoExecute" and taint["key"] in (NOT_READY, UNREACHABLE)


def _taint(key: str, effect: str, have: Sequence[Obj], now: str) -> Obj:
    """The taint as it is, or new with its time."""
    for taint in have:
        if taint["key"] == key and taint["effect"] == effect:
            return taint
    taint = {"key": key, "effect": effect}
    return taint | {"timeAdded": now}


def silent_status(node: Obj, now: datetime) -> Obj:
    """The status of a node that stopped posting: everything Unknown."""
    moment = rfc3339(now)
    conditions: list[Obj] = list(at(node, "status", "conditions", default=[]))
    for kind in CONDITIONS:
        found = next((c for c in conditions if c["type"] == kind), None)
        if found is None:
            conditions.append(
                {
                    "type": kind,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": at(node, "metadata", "creationTimestamp"),
                    "lastTransitionTime": moment,
                }
            )
        elif found["status"] != "Unknown":
            changed = found | {
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": moment,
            }
            conditions = [changed if c is found else c for c in conditions]
    return {**(node.get("status") or {}), "conditions": conditions}


@dataclass(slots=True)
class _Heard:
    """The last sign of life: what it was, and when we saw it (our clock, not the node's)."""

    sign: tuple[str, str]
    at_seconds: float


class NodeLifecycleController:
    name = "node-controller"

    def __init__(self, context: Context, grace_seconds: float) -> None:
        self._client = context.client_for("node-controller")
        self._clock = context.clock
        self._recorder = context.recorder(self.name)
        self._grace_seconds = grace_seconds
        self._nodes = context.informers.of(NODES)
        self._leases = context.informers.of(LEASES)
        self._pods = context.informers.of(PODS)
        self._heard: dict[str, _Heard] = {}
        self._queue: WorkQueue[str] = WorkQueue()
        self._nodes.on_change(self._changed)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            assert old is not None
            self._heard.pop(name_of(old), None)
            text = f"Node {name_of(old)} event: Removing Node {name_of(old)} from Controller"
            self._recorder.event(_reference(old), "Normal", "RemovingNode", text)
            return
        name = name_of(new)
        if name not in self._heard:
            self._heard[name] = _Heard(self._sign(new), self._clock.monotonic())
            text = f"Node {name} event: Registered Node {name} in Controller"
            self._recorder.event(_reference(new), "Normal", "RegisteredNode", text)
        self._queue.add(name)

    async def run(self) -> None:
        tasks = TaskSet()
        try:
            tasks.start(keep_running(f"{self.name} monitor", self._monitor), "node monitor")
            await run_workers(self.name, self._queue, self._taint)
        finally:
            await tasks.close()

    async def _taint(self, name: str) -> float | None:
        node = self._nodes.get(ObjectKey("", name))
        if node is None:
            return None
        have = at(node, "spec", "taints", default=[])
        wanted = wanted_taints(node, rfc3339(self._clock.now()))
        if _comparable(wanted) != _comparable(have):
            version = at(node, "metadata", "resourceVersion")
            patch = {"metadata": {"resourceVersion": version}, "spec": {"taints": wanted or None}}
            await self._client.patch(NODES, name, patch, kind="merge")
        if not pods.is_ready(node):
            await self._mark_pods(node)
        return None

    async def _mark_pods(self, node: Obj) -> None:
        """Pods of a node that is not ready are not ready either, whatever they last said."""
        if condition(node, "Ready") is None:
            return
        for pod in self._pods.items():
            ready = condition(pod, "Ready")
            if pods.node_name(pod) != name_of(node) or ready is None:
                continue
            if ready["status"] != "True":
                continue
            changed: Obj = {"type": "Ready", "status": "False"}
            changed["lastTransitionTime"] = rfc3339(self._clock.now())
            if generation := at(pod, "metadata", "generation"):
                changed["observedGeneration"] = generation
            try:
                await self._client.patch(
                    PODS,
                    name_of(pod),
                    {"status": {"conditions": [changed]}},
                    namespace_of(pod),
                    "status",
                )
            except ApiError:
                continue
            text = "Node is not ready"
            self._recorder.event(pod, "Warning", "NodeNotReady", text)

    async def _monitor(self) -> None:
        while True:
            for node in self._nodes.items():
                await self._check(node)
            await self._clock.sleep(MONITOR_SECONDS)

    async def _check(self, node: Obj) -> None:
        name, now = name_of(node), self._clock.monotonic()
        sign = self._sign(node)
        heard = self._heard.get(name)
        if heard is None or heard.sign != sign:
            self._heard[name] = _Heard(sign, now)
            return
        if now - heard.at_seconds < self._grace_seconds:
            return
        # A node of which nobody ever heard more than that it was made has no Lease.
        wanted = silent_status(node, self._clock.now())
        if wanted == node.get("status"):
            return
        if not at(node, "status", "conditions") or sign[1]:
            await self._write_silent(node, wanted)

    async def _write_silent(self, node: Obj, wanted: Obj) -> None:
        try:
            await self._client.update(NODES, {**node, "status": wanted}, subresource="status")
        except ApiError:
            return
        name = name_of(node)
        self._heard[name] = _Heard(self._sign({**node, "status": wanted}), self._clock.monotonic())
        text = f"Node {name} status is now: NodeNotReady"
        self._recorder.event(_reference(node), "Normal", "NodeNotReady", text)

    def _sign(self, node: Obj) -> tuple[str, str]:
        lease = self._leases.get(ObjectKey(NODE_LEASES, name_of(node)))
        ready = condition(node, "Ready")
        beat = str(ready.get("lastHeartbeatTime")) if ready is not None else ""
        return beat, str(at(lease, "spec", "renewTime", default=""))


def _comparable(taints: Sequence[Obj]) -> list[tuple[str, str, str]]:
    return sorted((t["key"], t["effect"], t.get("value", "")) for t in taints)


def _reference(node: Obj) -> Obj:
    """Events about nodes carry the node's uid under involvedObject, as upstream's controller."""
    return {
        "kind": "Node",
        "name": name_of(node),
        "uid": str(at(node, "metadata", "uid", default="")),
        "apiVersion": "v1",
    }
