"""One scheduling decision: which node a pod goes to, or why none fits. Pure.

Upstream: pkg/scheduler/schedule_one.go, framework/types.go FitError.
"""

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tiphys.api.meta import at
from tiphys.scheduler.framework import NodeInfo, PodInfo, Profile, Snapshot, Verdict

NO_NODES: Final = "no nodes available to schedule pods"
FEASIBLE_NODES_MIN: Final = 100  # minFeasibleNodesToFind
_NOT_HELPFUL: Final = "Preemption is not helpful for scheduling"
_NO_VICTIMS: Final = "No preemption victims found for incoming pod"

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
    enough = nodes_to_find(count)
    feasible: list[NodeInfo] = []
    for step in range(count):
        node = snapshot.nodes[(start + step) % count]
        if allowed is not None and node.name not in allowed:
            text = f"node(s) didn't satisfy plugin(s) [{' '.join(by)}]"
            verdicts[node.name] = Verdict((text,), unresolvable=True)
            plugins.update(by)
            continue
        for plugin in profile.filters:
            verdict = plugin.filter_node(pod, node)
            if verdict is not None:
                verdicts[node.name] = verdict
                plugins.add(plugin.name)
                break
        else:
            feasible.append(node)
            if len(feasible) >= enough:
                break
    return feasible, Diagnosis(count, verdicts, frozenset(plugins))


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
        scores = {node.name: plugin.score_node(pod, node, snapshot) for node in feasible}
        if plugin.normalize is not None:
            scores = plugin.normalize(scores)
        for name, score in scores.items():
            totals[name] += score * plugin.weight
    return totals


def message(pod: PodInfo, diagnosis: Diagnosis) -> str:
    """What users read in the event and the condition. Source: FitError.Error."""
    if diagnosis.node_count == 0:
        return NO_NODES
    total = diagnosis.node_count
    counts = Counter(r for v in diagnosis.verdicts.values() for r in v.reasons)
    text = f"0/{total} nodes are available"
    if diagnosis.pre_filter_text and diagnosis.plugins & _BEFORE_DEVICES:
        # DynamicResources has looked at nothing then, and says so instead of preemption.
        return f"{text}: {diagnosis.pre_filter_text}. not found"
    if diagnosis.pre_filter_text:
        text += f": {diagnosis.pre_filter_text}."
    elif counts:
        text += ": " + ", ".join(sorted(f"{n} {reason}" for reason, n in counts.items())) + "."
    return f"{text} no new claims to deallocate, {preemption_text(pod, diagnosis)}"


def preemption_text(pod: PodInfo, diagnosis: Diagnosis) -> str:
    """Whether evicting others would help. Source: preemption.go, default_preemption.go."""
    if at(pod.pod, "spec", "preemptionPolicy") == "Never":
        return "preemption: not eligible due to preemptionPolicy=Never."
    total = diagnosis.node_count
    counts = Counter(
        _NOT_HELPFUL if verdict.unresolvable else _NO_VICTIMS
        for verdict in diagnosis.verdicts.values()
    )
    reasons = ", ".join(sorted(f"{n} {reason}" for reason, n in counts.items()))
    return f"preemption: 0/{total} nodes are available: {reasons}."
