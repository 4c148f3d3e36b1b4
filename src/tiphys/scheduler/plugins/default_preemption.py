"""DefaultPreemption: which pods must go so that a more important one fits. Pure.

Upstream: pkg/scheduler/framework/preemption/preemption.go,
plugins/defaultpreemption/default_preemption.go, component-helpers MoreImportantPod.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tiphys.api.labels import matches_object
from tiphys.api.meta import (
    Obj,
    at,
    condition,
    is_terminating,
    labels_of,
    name_of,
    namespace_of,
    parse_time,
    uid_of,
)
from tiphys.scheduler.cycle import Diagnosis, Fit, counted, nominated_node
from tiphys.scheduler.framework import (
    NodeInfo,
    PodInfo,
    Profile,
    Snapshot,
    Verdict,
    unresolvable,
)

NAME: Final = "DefaultPreemption"
REASON: Final = "PreemptionByScheduler"  # Of the victims' condition DisruptionTarget.
NOT_HELPFUL: Final = unresolvable("Preemption is not helpful for scheduling")
NO_VICTIMS: Final = unresolvable("No preemption victims found for incoming pod")
NEVER: Final = "not eligible due to preemptionPolicy=Never."
WAITING: Final = "not eligible due to a terminating pod on the nominated node."
CANDIDATES_MIN: Final = 100  # minCandidateNodesAbsolute
CANDIDATES_PERCENT: Final = 10  # minCandidateNodesPercentage


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node, who must go from it (the most important first), and how many budgets that breaks."""

    node: str
    victims: tuple[PodInfo, ...]
    violations: int


@dataclass(frozen=True, slots=True)
class Preemption:
    """The node on which to make room; or why not, in upstream's words.

    displaced: pods nominated to that node that matter less, and must look again.
    """

    candidate: Candidate | None = None
    text: str = ""
    displaced: tuple[PodInfo, ...] = ()
    is_waiting: bool = field(default=False)  # Room is being made already.


def may_help(pod: PodInfo, snapshot: Snapshot, diagnosis: Diagnosis) -> bool:
    """Whether anybody could go at all: budgets need to be known only then."""
    return _why_not_eligible(pod, snapshot, diagnosis) == "" and any(
        _lesser(pod, node) for node in _promising(snapshot, diagnosis)
    )


def preempt(
    pod: PodInfo,
    snapshot: Snapshot,
    profile: Profile,
    diagnosis: Diagnosis,
    budgets: Sequence[Obj],
    start: int = 0,
) -> Preemption:
    """start: the promising node with which to begin, so that all get their turn."""
    why = _why_not_eligible(pod, snapshot, diagnosis)
    if why:
        return Preemption(text=f"preemption: {why}", is_waiting=why == WAITING)
    promising = _promising(snapshot, diagnosis)
    verdicts = {n.name: NOT_HELPFUL for n in snapshot.nodes}
    enough = max(len(promising) * CANDIDATES_PERCENT // 100, CANDIDATES_MIN)
    candidates: list[Candidate] = []
    fit = Fit(pod, snapshot, profile)
    for step in range(len(promising)):
        node = promising[(start + step) % len(promising)]
        found = select_victims(pod, node, fit, budgets)
        if isinstance(found, Verdict):
            verdicts[node.name] = found
            continue
        candidates.append(found)
        if len(candidates) >= enough:
            break
    if not candidates:
        total = len(snapshot.nodes)
        reasons = counted(verdicts)
        return Preemption(text=f"preemption: 0/{total} nodes are available: {reasons}.")
    best = min(candidates, key=_cost)
    waiting = snapshot.nominated.get(best.node, {}).values()
    displaced = tuple(info for info in waiting if info.priority < pod.priority)
    return Preemption(best, displaced=displaced)


def _why_not_eligible(pod: PodInfo, snapshot: Snapshot, diagnosis: Diagnosis) -> str:
    """Source: PodEligibleToPreemptOthers."""
    if at(pod.pod, "spec", "preemptionPolicy") == "Never":
        return NEVER
    nominated = nominated_node(pod)
    verdict = diagnosis.verdicts.get(nominated)
    if not nominated or (verdict is not None and verdict.unresolvable):
        return ""
    node = next((n for n in snapshot.nodes if n.name == nominated), None)
    if node is None:
        return ""
    return WAITING if any(_is_going(info) for info in _lesser(pod, node)) else ""


def _is_going(info: PodInfo) -> bool:
    found = condition(info.pod, "DisruptionTarget") or {}
    is_ours = found.get("status") == "True" and found.get("reason") == REASON
    return is_terminating(info.pod) and is_ours


def _promising(snapshot: Snapshot, diagnosis: Diagnosis) -> list[NodeInfo]:
    """Nodes that refused the pod for something that pods there cause."""
    verdicts = diagnosis.verdicts
    return [n for n in snapshot.nodes if n.name in verdicts and not verdicts[n.name].unresolvable]


def _lesser(pod: PodInfo, node: NodeInfo) -> list[PodInfo]:
    return [info for info in node.pods.values() if info.priority < pod.priority]


def select_victims(
    pod: PodInfo, node: NodeInfo, fit: Fit, budgets: Sequence[Obj]
) -> Candidate | Verdict:
    """All lesser pods go, then as many come back as the pod allows. Source: SelectVictimsOnNode."""
    lesser = sorted(_lesser(pod, node), key=_importance)
    if not lesser:
        return NO_VICTIMS
    emptier = node.copy()
    for info in lesser:
        emptier.remove(uid_of(info.pod))
    refused = fit.verdict_without_some(emptier)
    if refused is not None:
        return refused[1]
    violating = violations(lesser, budgets)
    # Those whose going breaks a budget come back first.
    order = sorted(lesser, key=lambda info: uid_of(info.pod) not in violating)
    victims = []
    for info in order:
        uid = uid_of(info.pod)
        emptier.add(uid, info)
        if fit.verdict_without_some(emptier) is not None:
            emptier.remove(uid)
            victims.append(info)
    broken = sum(1 for info in victims if uid_of(info.pod) in violating)
    return Candidate(node.name, tuple(sorted(victims, key=_importance)), broken)


def _importance(info: PodInfo) -> tuple[int, str]:
    """Higher priority first, then who runs longer."""
    return -info.priority, started(info)


def started(info: PodInfo) -> str:
    """RFC 3339 in UTC, which sorts; a pod that has not started is the youngest."""
    return str(at(info.pod, "status", "startTime", default="") or "9999")


def violations(pods: Sequence[PodInfo], budgets: Sequence[Obj]) -> Collection[str]:
    """The uids of pods whose going one of their budgets does not allow."""
    left = [int(at(b, "status", "disruptionsAllowed", default=0)) for b in budgets]
    found = set()
    for info in pods:
        for n, budget in enumerate(budgets):
            if not _is_under(info.pod, budget):
                continue
            if name_of(info.pod) in at(budget, "status", "disruptedPods", default={}):
                continue  # Counted already.
            left[n] -= 1
            if left[n] < 0:
                found.add(uid_of(info.pod))
    return found


def _is_under(pod: Obj, budget: Obj) -> bool:
    selector: Mapping[str, object] = at(budget, "spec", "selector", default={})
    is_same_namespace = namespace_of(pod) == namespace_of(budget)
    return is_same_namespace and bool(selector) and matches_object(dict(selector), labels_of(pod))


def _cost(candidate: Candidate) -> tuple[int, int, int, int, float]:
    """The cheapest is chosen. Source: pickOneNodeForPreemption.

    Fewest broken budgets, least important best victim, least sum of priorities, fewest victims;
    then the node whose most important victims started last.
    """
    victims = candidate.victims
    if not victims:
        return 0, 0, 0, 0, 0.0
    highest = victims[0].priority
    total = sum(info.priority + 2**31 for info in victims)
    began = [at(i.pod, "status", "startTime") for i in victims if i.priority == highest]
    earliest = min((parse_time(t).timestamp() for t in began if t), default=math.inf)
    return candidate.violations, highest, total, len(victims), -earliest
