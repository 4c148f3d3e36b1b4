"""One decision over nodes and pods, and the words users read."""

import random
from collections.abc import Mapping, Sequence

from tiphys.api.labels import EVERYTHING, Selector
from tiphys.api.meta import Obj
from tiphys.scheduler import cycle
from tiphys.scheduler.cache import Cache
from tiphys.scheduler.framework import PodInfo, Snapshot
from tiphys.scheduler.plugins import default_preemption
from tiphys.scheduler.plugins.default_profile import DEFAULT
from unit.controllers.builders import a_pod


def snapshot_of(
    nodes: Sequence[Obj],
    placed: Sequence[Obj] = (),
    namespaces: Mapping[str, Mapping[str, str]] | None = None,
) -> Snapshot:
    cache = Cache()
    for node in nodes:
        cache.set_node(node)
    for pod in placed:
        cache.set_pod(pod)
    for name, labels in (namespaces or {}).items():
        cache.set_namespace(name, labels)
    return cache.snapshot()


def decide_on(pod: Obj, snapshot: Snapshot, siblings: Selector = EVERYTHING) -> cycle.Decision:
    info = PodInfo(pod, siblings=siblings)
    return cycle.decide(info, snapshot, DEFAULT, random.Random(7))


def decide(pod: Obj, nodes: Sequence[Obj], placed: Sequence[Obj] = ()) -> cycle.Decision:
    return decide_on(pod, snapshot_of(nodes, placed))


def preempt(
    pod: Obj, snapshot: Snapshot, budgets: Sequence[Obj] = ()
) -> default_preemption.Preemption:
    decision = decide_on(pod, snapshot)
    assert decision.diagnosis is not None, "it fits"
    return default_preemption.preempt(PodInfo(pod), snapshot, DEFAULT, decision.diagnosis, budgets)


def why(pod: Obj, nodes: Sequence[Obj], placed: Sequence[Obj] = ()) -> str:
    snapshot = snapshot_of(nodes, placed)
    decision = decide_on(pod, snapshot)
    assert decision.diagnosis is not None, f"it fits {decision.node}"
    return cycle.message(decision.diagnosis, preempt(pod, snapshot).text)


def asking(name: str = "p", node: str = "", priority: int = 0, **requests: str) -> Obj:
    container = {"name": "c", "image": "i", "resources": {"requests": requests}}
    return a_pod(name, node=node, containers=[container], priority=priority)
