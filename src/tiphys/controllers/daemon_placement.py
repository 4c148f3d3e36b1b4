"""Where a DaemonSet's pods belong, which to create and delete, and the status. Pure.

Upstream: pkg/controller/daemon/daemon_controller.go (NodeShouldRunDaemonPod, podsShouldBeOnNode,
updateDaemonSetStatus), daemon/util/daemonset_util.go.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from tiphys.api.meta import (
    Obj,
    annotations_of,
    at,
    is_terminating,
    labels_of,
    name_of,
    namespace_of,
)
from tiphys.api.node_selector import NODE_NAME_FIELD
from tiphys.controllers import node_fit, owners, pods
from tiphys.controllers.rollout import scaled

HASH_LABEL: Final = "controller-revision-hash"
GENERATION_LABEL: Final = "pod-template-generation"
GENERATION: Final = "deprecated.daemonset.template.generation"
# What every daemon pod tolerates. Source: AddOrUpdateDaemonPodTolerations.
TOLERATED: Final = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
TOLERATED_ON_HOST_NETWORK: Final = ("node.kubernetes.io/network-unavailable", "NoSchedule")

ByNode = Mapping[str, Sequence[Obj]]


class Placement(NamedTuple):
    should_run: bool  # A pod is to be created here.
    may_stay: bool  # One that is here goes on.


@dataclass(slots=True)
class Plan:
    """create: node names. Deleted failed and finished pods are told in events (kind, text)."""

    create: list[str] = field(default_factory=list)
    delete: list[Obj] = field(default_factory=list)
    failed: list[tuple[str, Obj]] = field(default_factory=list)  # (node, pod): back-off first.
    succeeded: list[tuple[str, Obj]] = field(default_factory=list)


def tolerations(spec: Obj) -> list[Obj]:
    """The tolerations of a daemon pod: the template's and those that every one has."""
    added = [*TOLERATED, *([TOLERATED_ON_HOST_NETWORK] if spec.get("hostNetwork") else [])]
    found: list[Obj] = list(spec.get("tolerations") or [])
    for key, effect in added:
        wanted = {"key": key, "operator": "Exists", "effect": effect}
        same = [
            n
            for n, t in enumerate(found)
            if (t.get("key"), t.get("effect"), t.get("operator")) == (key, effect, "Exists")
            and not t.get("value")
        ]
        if same:
            found[same[0]] = wanted
        else:
            found.append(wanted)
    return found


def placement(daemon_set: Obj, node: Obj) -> Placement:
    """Whether the node gets a pod, and whether one that it has may stay."""
    spec = at(daemon_set, "spec", "template", "spec", default={})
    if spec.get("nodeName") and spec["nodeName"] != name_of(node):
        return Placement(should_run=False, may_stay=False)
    if not node_fit.matches_affinity(spec, node):
        return Placement(should_run=False, may_stay=False)
    taints, tolerated = at(node, "spec", "taints", default=[]), tolerations(spec)
    if node_fit.untolerated(taints, tolerated, {"NoExecute", "NoSchedule"}):
        evicted = node_fit.untolerated(taints, tolerated, {"NoExecute"})
        return Placement(should_run=False, may_stay=not evicted)
    return Placement(should_run=True, may_stay=True)


def pod_template(daemon_set: Obj, node: str, revision_hash: str) -> Obj:
    """The template of the pod for one node, which the scheduler binds to that node only."""
    template: Obj = copy.deepcopy(daemon_set["spec"]["template"])
    described = template.setdefault("metadata", {})
    labels = dict(described.get("labels") or {})
    if (generation := annotations_of(daemon_set).get(GENERATION, "")).isdigit():
        labels[GENERATION_LABEL] = generation
    described["labels"] = labels | {HASH_LABEL: revision_hash}
    spec = template["spec"]
    spec["tolerations"] = tolerations(spec)
    field_term = {"key": NODE_NAME_FIELD, "operator": "In", "values": [node]}
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    # The template's own terms were asked already (placement); the scheduler needs the name only.
    affinity[node_fit.REQUIRED] = {"nodeSelectorTerms": [{"matchFields": [field_term]}]}
    return template


def node_of(pod: Obj) -> str:
    """The node of a daemon pod, bound or not yet. Source: GetTargetNodeName."""
    if node := pods.node_name(pod):
        return node
    required = at(pod, "spec", "affinity", "nodeAffinity", node_fit.REQUIRED, default={})
    for term in required.get("nodeSelectorTerms") or []:
        for wanted in term.get("matchFields") or []:
            values = wanted.get("values") or []
            if wanted.get("key") == NODE_NAME_FIELD and len(values) == 1:
                return str(values[0])
    return ""


def by_node(mine: Sequence[Obj]) -> dict[str, list[Obj]]:
    """Pods by node, oldest first. Those that are over and going already are nobody's business."""
    found: dict[str, list[Obj]] = {}
    for pod in sorted(mine, key=_age):
        if pods.is_finished(pod) and is_terminating(pod):
            continue
        if node := node_of(pod):
            found.setdefault(node, []).append(pod)
    return found


def _age(pod: Obj) -> tuple[int, str, str]:
    """Bound pods before waiting ones, then the oldest. Source: podByCreationTimestampAndPhase."""
    return (0 if pods.node_name(pod) else 1, owners.created_at(pod), name_of(pod))


def is_updated(daemon_set: Obj, pod: Obj, revision_hash: str) -> bool:
    """Whether a pod has the present template. Source: IsPodUpdated."""
    generation = annotations_of(daemon_set).get(GENERATION, "")
    noted = labels_of(pod).get(GENERATION_LABEL)
    same_generation = generation.isdigit() and noted == generation
    return same_generation or labels_of(pod).get(HASH_LABEL) == revision_hash


def plan(
    daemon_set: Obj, nodes: Sequence[Obj], placed: ByNode, revision_hash: str, now: datetime
) -> Plan:
    """What one sync creates and deletes, the rolling update apart."""
    found = Plan()
    for node in nodes:
        _plan_node(daemon_set, node, placed.get(name_of(node)), revision_hash, now, found)
    names = {name_of(node) for node in nodes}
    for node_name, there in placed.items():
        if node_name not in names:  # Never bound, so no other collector takes them.
            found.delete += [p for p in there if not pods.node_name(p) and not is_terminating(p)]
    return found


def _plan_node(
    daemon_set: Obj,
    node: Obj,
    there: Sequence[Obj] | None,
    revision_hash: str,
    now: datetime,
    found: Plan,
) -> None:
    where, name = placement(daemon_set, node), name_of(node)
    if not there:
        if where.should_run:
            found.create.append(name)
        return
    alive = [p for p in there if not is_terminating(p)]
    if not where.may_stay:
        found.delete += alive
        return
    found.failed += [(name, p) for p in alive if pods.phase(p) == "Failed"]
    found.succeeded += [(name, p) for p in alive if pods.phase(p) == "Succeeded"]
    running = [p for p in alive if not pods.is_finished(p)]
    if not allows_surge(daemon_set):
        found.delete += running[1:]
    elif not running and where.should_run:
        found.create.append(name)
    elif len(running) > 1:
        found.delete += _surplus_of_surge(daemon_set, running, revision_hash, now)


def _surplus_of_surge(
    daemon_set: Obj, running: Sequence[Obj], revision_hash: str, now: datetime
) -> list[Obj]:
    """Two pods may be there while the new one is not available and the old one is ready."""
    new = [p for p in running if labels_of(p).get(HASH_LABEL) == revision_hash]
    old = [p for p in running if labels_of(p).get(HASH_LABEL) != revision_hash]
    surplus = [*new[1:], *old[1:]]
    if new and old:
        seconds = int(at(daemon_set, "spec", "minReadySeconds", default=0))
        if not pods.is_ready(old[0]) or pods.is_available(new[0], seconds, now):
            surplus.append(old[0])
    return surplus


def allows_surge(daemon_set: Obj) -> bool:
    strategy = at(daemon_set, "spec", "updateStrategy", default={})
    if strategy.get("type") != "RollingUpdate":
        return False
    return scaled(at(strategy, "rollingUpdate", "maxSurge", default=0), 100, round_up=True) > 0


def status_of(
    daemon_set: Obj, nodes: Sequence[Obj], placed: ByNode, revision_hash: str, now: datetime
) -> Obj:
    """The status that the DaemonSet should show, observedGeneration apart."""
    seconds = int(at(daemon_set, "spec", "minReadySeconds", default=0))
    counts = dict.fromkeys(
        ("desiredNumberScheduled", "currentNumberScheduled", "numberMisscheduled", "numberReady"), 0
    )
    updated = available = 0
    for node in nodes:
        there = placed.get(name_of(node)) or []
        if not placement(daemon_set, node).should_run:
            counts["numberMisscheduled"] += bool(there)
            continue
        counts["desiredNumberScheduled"] += 1
        if not there:
            continue
        counts["currentNumberScheduled"] += 1
        oldest = min(there, key=owners.created_at)
        counts["numberReady"] += pods.is_ready(oldest)
        available += pods.is_available(oldest, seconds, now)
        updated += is_updated(daemon_set, oldest, revision_hash)
    extra = {
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
        "numberUnavailable": counts["desiredNumberScheduled"] - available,
    }
    status: Obj = counts | {k: v for k, v in extra.items() if v}
    if (collisions := at(daemon_set, "status", "collisionCount")) is not None:
        status["collisionCount"] = collisions
    return status


def failed_text(node: str, pod: Obj) -> str:
    where = f"{namespace_of(pod)}/{name_of(pod)} on node {node}"
    return f"Found failed daemon pod {where}, will try to kill it"


def succeeded_text(node: str, pod: Obj) -> str:
    where = f"{namespace_of(pod)}/{name_of(pod)} on node {node}"
    return f"Found succeeded daemon pod {where}, will try to delete it"
