"""PodTopologySpread: like pods are spread over zones, nodes and whatever else labels name.

Upstream: pkg/scheduler/framework/plugins/podtopologyspread common.go, filtering.go, scoring.go,
plugin.go (systemDefaultConstraints).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tiphys.api.labels import Requirement, Selector, from_object
from tiphys.api.meta import Obj, at, labels_of, namespace_of
from tiphys.scheduler.framework import (
    NODE_ADD,
    NODE_LABEL,
    NODE_TAINT,
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
from tiphys.scheduler.plugins import node_affinity, taint_toleration

NAME: Final = "PodTopologySpread"
RETRY_ON: Final = frozenset(
    {POD_ADD, POD_LABEL, POD_DELETE, POD_UPDATE, NODE_ADD, NODE_LABEL, NODE_TAINT}
)
REASON: Final = "node(s) didn't match pod topology spread constraints"
NO_LABEL: Final = f"{REASON} (missing required label)"
HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
SYSTEM_DEFAULTS: Final = ((HOSTNAME, 3), (ZONE, 5))  # (key, maxSkew), ScheduleAnyway.


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint of a pod, with its selector's text."""

    key: str
    max_skew: int
    selector: Selector
    text: str
    min_domains: int = 1
    honors_affinity: bool = True
    honors_taints: bool = False

    def counts_on(self, pod: PodInfo, node: NodeInfo) -> bool:
        """Whether a node's pods count. Source: matchNodeInclusionPolicies (KEP-3094)."""
        if self.honors_affinity and node_affinity.filter_node(pod, node) is not None:
            return False
        return not self.honors_taints or taint_toleration.filter_node(pod, node) is None

    def matching(self, pod: PodInfo, node: NodeInfo) -> int:
        return node.matching(namespace_of(pod.pod), self.selector, self.text)


def constraints_of(pod: Obj, action: str) -> list[Constraint]:
    return [
        _constraint(pod, given)
        for given in at(pod, "spec", "topologySpreadConstraints", default=[])
        if given.get("whenUnsatisfiable") == action
    ]


def _constraint(pod: Obj, given: Obj) -> Constraint:
    selector, labels = from_object(given.get("labelSelector")), labels_of(pod)
    keys = [k for k in given.get("matchLabelKeys") or [] if k in labels]
    if keys and not selector.nothing:
        more = tuple(Requirement(k, "in", (labels[k],)) for k in keys)
        selector = Selector(selector.requirements + more)
    return Constraint(
        given["topologyKey"],
        int(given["maxSkew"]),
        selector,
        f"{'!' if selector.nothing else ''}{selector}",
        int(given.get("minDomains") or 1),
        given.get("nodeAffinityPolicy") != "Ignore",
        given.get("nodeTaintsPolicy") == "Honor",
    )


def _has_all(node: NodeInfo, constraints: Sequence[Constraint]) -> bool:
    labels = node.labels
    return all(c.key in labels for c in constraints)


def prepare(pod: PodInfo, snapshot: Snapshot) -> Filter | None:
    constraints = constraints_of(pod.pod, "DoNotSchedule")
    if not constraints:
        return None
    counts = [_counts(pod, c, constraints, snapshot) for c in constraints]
    lowest = [_lowest(c, found) for c, found in zip(constraints, counts, strict=True)]
    own = labels_of(pod.pod)
    itself = [int(c.selector.matches(own)) for c in constraints]

    def filter_node(_: PodInfo, node: NodeInfo) -> Verdict | None:
        labels = node.labels
        for n, constraint in enumerate(constraints):
            value = labels.get(constraint.key)
            if value is None:
                return unresolvable(NO_LABEL)
            skew = counts[n].get(value, 0) + itself[n] - lowest[n]
            if skew > constraint.max_skew:
                return unschedulable(REASON)
        return None

    return filter_node


def _counts(
    pod: PodInfo, constraint: Constraint, every: Sequence[Constraint], snapshot: Snapshot
) -> dict[str, int]:
    """How many pods each topology has. Only nodes with all the labels count."""
    found: dict[str, int] = {}
    for node in snapshot.nodes:
        if _has_all(node, every) and constraint.counts_on(pod, node):
            value = node.labels[constraint.key]
            found[value] = found.get(value, 0) + constraint.matching(pod, node)
    return found


def _lowest(constraint: Constraint, counts: dict[str, int]) -> int:
    """With fewer topologies than minDomains, one with none is assumed."""
    if len(counts) < constraint.min_domains:
        return 0
    return min(counts.values(), default=0)


def score_nodes(
    pod: PodInfo, feasible: Sequence[NodeInfo], snapshot: Snapshot
) -> dict[str, int] | None:
    """The emptier a node's topologies, the more of 100; nodes without the labels get none."""
    constraints = constraints_of(pod.pod, "ScheduleAnyway")
    is_asked = bool(at(pod.pod, "spec", "topologySpreadConstraints", default=[]))
    if not is_asked:
        constraints = _defaults(pod)
    if not constraints:
        return None
    counted = [n for n in feasible if not is_asked or _has_all(n, constraints)]
    raw = dict.fromkeys((n.name for n in counted), 0.0)
    for constraint in constraints:
        _add_score(raw, pod, constraint, counted, _others(snapshot, constraints, is_asked))
    return _normalized({name: round(value) for name, value in raw.items()}, feasible)


def _defaults(pod: PodInfo) -> list[Constraint]:
    """For pods that a Service or an owner selects together with others."""
    if pod.siblings.is_everything:
        return []
    text = str(pod.siblings)
    return [Constraint(key, skew, pod.siblings, text) for key, skew in SYSTEM_DEFAULTS]


def _others(
    snapshot: Snapshot, constraints: Sequence[Constraint], is_asked: bool
) -> Sequence[NodeInfo]:
    if not is_asked:
        return snapshot.nodes
    return [n for n in snapshot.nodes if _has_all(n, constraints)]


def _add_score(
    raw: dict[str, float],
    pod: PodInfo,
    constraint: Constraint,
    counted: Sequence[NodeInfo],
    others: Sequence[NodeInfo],
) -> None:
    """Counts weigh less where there are many topologies. Source: scoreForCount."""
    key = constraint.key
    if key == HOSTNAME:
        weight = math.log(len(counted) + 2)
        for node in counted:
            if key in node.labels:
                count = constraint.matching(pod, node)
                raw[node.name] += count * weight + constraint.max_skew - 1
        return
    counts = {n.labels[key]: 0 for n in counted if key in n.labels}
    if not counts:
        return
    for node in others:
        value = node.labels.get(key)
        if value in counts and constraint.counts_on(pod, node):
            counts[value] += constraint.matching(pod, node)
    weight = math.log(len(counts) + 2)
    for node in counted:
        if (value := node.labels.get(key)) is not None:
            raw[node.name] += counts[value] * weight + constraint.max_skew - 1


def _normalized(raw: dict[str, int], feasible: Sequence[NodeInfo]) -> dict[str, int]:
    highest, lowest = max(raw.values(), default=0), min(raw.values(), default=0)
    if highest == 0:
        return {n.name: SCORE_MAX if n.name in raw else 0 for n in feasible}
    return {
        n.name: SCORE_MAX * (highest + lowest - raw[n.name]) // highest if n.name in raw else 0
        for n in feasible
    }
