"""InterPodAffinity: near the pods that are wanted, away from those that are not.

Upstream: pkg/scheduler/framework/plugins/interpodaffinity filtering.go, scoring.go.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tiphys.api.meta import Obj
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
# How often something holds in a topology: (key, value of the nodes' label) -> times.
Topologies = Counter[tuple[str, str]]


def prepare(pod: PodInfo, snapshot: Snapshot) -> Filter | None:
    existing = _existing_anti_affinity(pod, snapshot)
    wanted, unwanted = pod.affinity.affinity, pod.affinity.anti_affinity
    if not existing and not wanted and not unwanted:
        return None
    near, away = _matches_of(pod, snapshot)
    # The first of a group whose members want each other.
    is_first = not near and _matches_all(wanted, pod.pod, snapshot)

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


def _matches_all(terms: Sequence[AffinityTerm], pod: Obj, snapshot: Snapshot) -> bool:
    return bool(terms) and all(t.matches(pod, snapshot.namespaces) for t in terms)


def _matcher(pod: PodInfo, snapshot: Snapshot) -> Callable[[AffinityTerm], bool]:
    """Whether terms of others are about a pod; replicas have the same terms, asked once."""
    known: dict[str, bool] = {}

    def matches(term: AffinityTerm) -> bool:
        found = known.get(term.text)
        if found is None:
            found = known[term.text] = term.matches(pod.pod, snapshot.namespaces)
        return found

    return matches


def _existing_anti_affinity(pod: PodInfo, snapshot: Snapshot) -> Topologies:
    """Where pods are that do not want this one."""
    found: Topologies = Counter()
    matches = _matcher(pod, snapshot)
    for node in snapshot.nodes:
        for other in node.affine.values():
            for pair in _pairs((t for t in other.affinity.anti_affinity if matches(t)), node):
                found[pair] += 1
    return found


def _counts(terms: Sequence[AffinityTerm], node: NodeInfo, snapshot: Snapshot) -> int:
    """How many pods of a node match all terms."""
    text = " ".join(["affinity", *(t.text for t in terms)])
    return node.count(text, lambda pod: _matches_all(terms, pod, snapshot))


def _matches_of(pod: PodInfo, snapshot: Snapshot) -> tuple[Topologies, Topologies]:
    """Where pods are that match all required terms, and where those of a refused one are."""
    near: Topologies = Counter()
    away: Topologies = Counter()
    wanted, unwanted = pod.affinity.affinity, pod.affinity.anti_affinity
    for node in snapshot.nodes:
        if wanted and (count := _counts(wanted, node, snapshot)):
            for pair in _pairs(wanted, node):
                near[pair] += count
        for term in unwanted:
            if term.topology_key in node.labels and (count := _counts((term,), node, snapshot)):
                away[term.topology_key, node.labels[term.topology_key]] += count
    return near, away


def score_nodes(
    pod: PodInfo, feasible: Sequence[NodeInfo], snapshot: Snapshot
) -> dict[str, int] | None:
    """0 to 100 between the least and the most welcome node; None when nobody cares."""
    weights = _weights(pod, snapshot)
    if not any(weights.values()):
        return None
    raw = {n.name: sum(weights[pair] for pair in n.labels.items()) for n in feasible}
    lowest, spread = min(raw.values()), max(raw.values()) - min(raw.values())
    if spread == 0:
        return None
    return {name: int(SCORE_MAX * (value - lowest) / spread) for name, value in raw.items()}


def _weights(pod: PodInfo, snapshot: Snapshot) -> Topologies:
    """How welcome the pod is in each topology: what it prefers, and what others would like."""
    found: Topologies = Counter()
    matches = _matcher(pod, snapshot)
    for node in snapshot.nodes:
        for term in pod.affinity.preferred:
            if term.topology_key in node.labels:
                count = _counts((term,), node, snapshot)
                found[term.topology_key, node.labels[term.topology_key]] += term.weight * count
        for other in node.affine.values():
            theirs = other.affinity
            for term in (*theirs.preferred, *theirs.affinity):
                if term.topology_key in node.labels and matches(term):
                    found[term.topology_key, node.labels[term.topology_key]] += term.weight
    return found
