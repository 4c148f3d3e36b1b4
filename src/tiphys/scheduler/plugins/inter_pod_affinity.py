"""InterPodAffinity: near the pods that are wanted, away from those that are not.

Upstream: pkg/scheduler/framework/plugins/interpodaffinity filtering.go, scoring.go.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from tiphys.scheduler.affinity_terms import AffinityTerm
from tiphys.scheduler.framework import (
    NODE_ADD,
    NODE_LABEL,
    POD_ADD,
    POD_DELETE,
    POD_LABEL,
    POD_UPDATE,
    SCORE_MAX,
    Filter,
    NodeInfo,
    PodInfo,
    Snapshot,
    Verdict,
    unresolvable,
    unschedulable,
)

NAME: Final = "InterPodAffinity"
RETRY_ON: Final = frozenset({POD_ADD, POD_LABEL, POD_DELETE, POD_UPDATE, NODE_ADD, NODE_LABEL})
AFFINITY: Final = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY: Final = "node(s) didn't match pod anti-affinity rules"
EXISTING: Final = "node(s) didn't satisfy existing pods anti-affinity rules"
HARD_WEIGHT: Final = 1  # hardPodAffinityWeight: what others require towards this pod.

# How often something holds in a topology: (key, value of the nodes' label) -> times.
Topologies = Counter[tuple[str, str]]


def prepare(pod: PodInfo, snapshot: Snapshot) -> Filter | None:
    existing = _existing_anti_affinity(pod, snapshot)
    wanted, unwanted = pod.affinity.affinity, pod.affinity.anti_affinity
    if not existing and not wanted and not unwanted:
        return None
    near, away = _matches_of(pod, snapshot)
    # The first of a group whose members want each other.
    is_first = not near and _matches_all(wanted, pod, snapshot)

    def filter_node(_: PodInfo, node: NodeInfo) -> Verdict | None:
        if wanted and not _is_near(wanted, near, node, is_first=is_first):
            return unresolvable(AFFINITY)
        if any(away[pair] for pair in _pairs(unwanted, node)):
            return unschedulable(ANTI_AFFINITY)
        if existing and any(existing[pair] for pair in node.labels.items()):
            return unschedulable(EXISTING)
        return None

    return filter_node


def _pairs(terms: Iterable[AffinityTerm], node: NodeInfo) -> Iterable[tuple[str, str]]:
    labels = node.labels
    return ((t.topology_key, labels[t.topology_key]) for t in terms if t.topology_key in labels)


def _is_near(
    wanted: Sequence[AffinityTerm], near: Topologies, node: NodeInfo, *, is_first: bool
) -> bool:
    """Every term's topology must be one of the node's."""
    pairs = list(_pairs(wanted, node))
    if len(pairs) < len(wanted):
        return False
    return is_first or all(near[pair] for pair in pairs)


def _matches_all(terms: Sequence[AffinityTerm], pod: PodInfo, snapshot: Snapshot) -> bool:
    return bool(terms) and all(t.matches(pod.pod, snapshot.namespaces) for t in terms)


def _existing_anti_affinity(pod: PodInfo, snapshot: Snapshot) -> Topologies:
    """Where pods are that do not want this one."""
    found: Topologies = Counter()
    for node in snapshot.nodes:
        for other in node.affine.values():
            refusing = (
                t for t in other.affinity.anti_affinity if t.matches(pod.pod, snapshot.namespaces)
            )
            found.update(_pairs(refusing, node))
    return found


def _matches_of(pod: PodInfo, snapshot: Snapshot) -> tuple[Topologies, Topologies]:
    """Where pods are that match all required terms, and where those of a refused one are."""
    near: Topologies = Counter()
    away: Topologies = Counter()
    wanted, unwanted = pod.affinity.affinity, pod.affinity.anti_affinity
    if not wanted and not unwanted:
        return near, away
    for node in snapshot.nodes:
        for other in node.pods.values():
            if _matches_all(wanted, other, snapshot):
                near.update(_pairs(wanted, node))
            refused = (t for t in unwanted if t.matches(other.pod, snapshot.namespaces))
            away.update(_pairs(refused, node))
    return near, away


def score_nodes(
    pod: PodInfo, feasible: Sequence[NodeInfo], snapshot: Snapshot
) -> dict[str, int] | None:
    """0 to 100 between the least and the most welcome node; None when nobody cares."""
    weights = _weights(pod, snapshot)
    if not weights:
        return None
    raw = {n.name: sum(weights[pair] for pair in n.labels.items()) for n in feasible}
    lowest, spread = min(raw.values()), max(raw.values()) - min(raw.values())
    if spread == 0:
        return None
    return {name: int(SCORE_MAX * (value - lowest) / spread) for name, value in raw.items()}


def _weights(pod: PodInfo, snapshot: Snapshot) -> Topologies:
    """How welcome the pod is in each topology."""
    found: Topologies = Counter()
    own, namespaces = pod.affinity.preferred, snapshot.namespaces
    for node in snapshot.nodes:
        others = node.pods if own else node.affine
        for other in others.values():
            weighed = [(t, t.weight) for t in own if t.matches(other.pod, namespaces)]
            theirs = other.affinity
            weighed += [(t, t.weight) for t in theirs.preferred if t.matches(pod.pod, namespaces)]
            weighed += [(t, HARD_WEIGHT) for t in theirs.affinity if t.matches(pod.pod, namespaces)]
            for term, weight in weighed:
                for pair in _pairs((term,), node):
                    found[pair] += weight
    return found
