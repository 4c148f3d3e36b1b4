"""One scheduling decision: which node a pod goes to, or why none fits. Pure.

Upstream: pkg/scheduler/schedule_one.go, framework/types.go FitError.
"""

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tiphys.api.meta import at
from tiphys.scheduler.framework import (
    Filter,
    NodeInfo,
    PodInfo,
    Profile,
    ScorePlugin,
    Snapshot,
    Verdict,
)

NO_NODES: Final = "no nodes available to schedule pods"
FEASIBLE_NODES_MIN: Final = 100  # minFeasibleNodesToFind
# Pre-filters after which upstream's DynamicResources has no state of its own.
_BEFORE_DEVICES: Final = frozenset({"VolumeBinding"})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What kept a pod from every node."""

    node_count: int
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    plugins: frozenset[str] = frozenset()
    pre_filter_text: str = ""  # Why no node was looked at.


@dataclass(frozen=True, slots=True)
class Decision:
    """A node's name, or a diagnosis."""

    node: str = ""
    diagnosis: Diagnosis | None = None


def decide(
    pod: PodInfo, snapshot: Snapshot, profile: Profile, rng: random.Random, start: int = 0
) -> Decision:
    """start: the index of the node at which the search begins, so that all get their turn."""
    if not snapshot.nodes:
        return Decision(diagnosis=Diagnosis(0))
    feasible, diagnosis = find_feasible(pod, snapshot, profile, start)
    if not feasible:
        return Decision(diagnosis=diagnosis)
    if len(feasible) == 1:
        return Decision(feasible[0].name)
    scores = total_scores(pod, feasible, snapshot, profile)
    best = max(scores.values())
    return Decision(rng.choice([n for n, score in scores.items() if score == best]))


def nodes_to_find(count: int) -> int:
    """How many feasible nodes are enough. Source: numFeasibleNodesToFind, percentage 0."""
    if count < FEASIBLE_NODES_MIN:
        return count
    percentage = max(50 - count // 125, 5)
    return max(count * percentage // 100, FEASIBLE_NODES_MIN)


def find_feasible(
    pod: PodInfo, snapshot: Snapshot, profile: Profile, start: int
) -> tuple[list[NodeInfo], Diagnosis]:
    verdicts: dict[str, Verdict] = {}
    plugins: set[str] = set()
    count = len(snapshot.nodes)
    allowed, by = _allowed(pod, snapshot, profile)
    if isinstance(allowed, Verdict):
        every = {node.name: allowed for node in snapshot.nodes}
        return [], Diagnosis(count, every, frozenset(by), ", ".join(allowed.reasons))
    fit = Fit(pod, snapshot, profile)
    nominated = nominated_node(pod)
    enough = nodes_to_find(count)
    feasible: list[NodeInfo] = []
    for step in range(count):
        node = snapshot.nodes[(start + step) % count]
        if allowed is not None and node.name not in allowed:
            text = f"node(s) didn't satisfy plugin(s) [{' '.join(by)}]"
            verdicts[node.name] = Verdict((text,), unresolvable=True)
            plugins.update(by)
            continue
        found = fit.verdict(node)
        if found is not None:
            plugins.add(found[0])
            verdicts[node.name] = found[1]
        elif node.name == nominated:
            return [node], Diagnosis(count)  # Room was made for it there.
        else:
            feasible.append(node)
            if len(feasible) >= enough and not nominated:
                break
    return feasible, Diagnosis(count, verdicts, frozenset(plugins))


def nominated_node(pod: PodInfo) -> str:
    """The node on which others make room for the pod; "" for none."""
    return str(at(pod.pod, "status", "nominatedNodeName", default=""))


class Fit:
    """Whether one pod fits nodes, with all that filters must know of the others prepared."""

    def __init__(self, pod: PodInfo, snapshot: Snapshot, profile: Profile) -> None:
        self._pod = pod
        self._snapshot = snapshot
        self._profile = profile
        self._filters: list[tuple[str, Filter]] = []
        self._sees_others = False
        for plugin in profile.filters:
            check = plugin.filter_node
            if plugin.prepare is not None:
                check = plugin.prepare(pod, snapshot)
                self._sees_others = self._sees_others or check is not None
            if check is not None:
                self._filters.append((plugin.name, check))

    def verdict(self, node: NodeInfo) -> tuple[str, Verdict] | None:
        """The plugin that refuses the node and why; None when the pod fits.

        It must fit with the pods that are to come there before it, and without them.
        Source: RunFilterPluginsWithNominatedPods.
        """
        waiting = self._snapshot.nominated_on(node.name, self._pod)
        if waiting:
            crowded = node.copy()
            for uid, info in waiting.items():
                crowded.add(uid, info)
            snapshot = self._snapshot.replaced(crowded)
            found = Fit(self._pod, snapshot, self._profile).alone(crowded)
            if found is not None:
                return found
        return self.alone(node)

    def alone(self, node: NodeInfo) -> tuple[str, Verdict] | None:
        """The same, whoever else is to come."""
        for name, check in self._filters:
            verdict = check(self._pod, node)
            if verdict is not None:
                return name, verdict
        return None

    def verdict_without_some(self, emptier: NodeInfo) -> tuple[str, Verdict] | None:
        """The same for a node as it would be without some of its pods."""
        if not self._sees_others:
            return self.verdict(emptier)
        return Fit(self._pod, self._snapshot.replaced(emptier), self._profile).verdict(emptier)


def _allowed(
    pod: PodInfo, snapshot: Snapshot, profile: Profile
) -> tuple[Collection[str] | Verdict | None, list[str]]:
    """The nodes that pre-filters leave, or why they leave none; and which of them said so."""
    allowed: set[str] | None = None
    by: list[str] = []
    for name, pre_filter in profile.pre_filters:
        found = pre_filter(pod, snapshot)
        if isinstance(found, Verdict):
            return found, [name]
        if found is not None:
            allowed = set(found) if allowed is None else allowed & set(found)
            by.append(name)
    return allowed, by


def total_scores(
    pod: PodInfo, feasible: Sequence[NodeInfo], snapshot: Snapshot, profile: Profile
) -> dict[str, int]:
    """Weighted sums by node name."""
    totals = dict.fromkeys((node.name for node in feasible), 0)
    for plugin in profile.scores:
        scores = _scores(plugin, pod, feasible, snapshot)
        for name, score in scores.items():
            totals[name] += score * plugin.weight
    return totals


def _scores(
    plugin: ScorePlugin, pod: PodInfo, feasible: Sequence[NodeInfo], snapshot: Snapshot
) -> dict[str, int]:
    if plugin.score_nodes is not None:
        return plugin.score_nodes(pod, feasible, snapshot) or {}
    assert plugin.score_node is not None
    scores = {node.name: plugin.score_node(pod, node, snapshot) for node in feasible}
    return plugin.normalize(scores) if plugin.normalize is not None else scores


def message(diagnosis: Diagnosis, preemption: str = "") -> str:
    """What users read in the event and the condition. Source: FitError.Error.

    preemption: what came of trying to make room; "" when room is being made.
    """
    if diagnosis.node_count == 0:
        return NO_NODES
    total = diagnosis.node_count
    text = f"0/{total} nodes are available"
    if diagnosis.pre_filter_text and diagnosis.plugins & _BEFORE_DEVICES:
        # DynamicResources has looked at nothing then, and says so instead of preemption.
        return f"{text}: {diagnosis.pre_filter_text}. not found"
    reasons = diagnosis.pre_filter_text or counted(diagnosis.verdicts)
    if reasons:
        text += f": {reasons}."
    return f"{text} no new claims to deallocate, {preemption}" if preemption else text


def counted(verdicts: Mapping[str, Verdict]) -> str:
    """`2 Insufficient cpu, 1 Too many pods`, in the order of the texts."""
    counts = Counter(reason for verdict in verdicts.values() for reason in verdict.reasons)
    return ", ".join(sorted(f"{n} {reason}" for reason, n in counts.items()))
