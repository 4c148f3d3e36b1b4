"""NodeResourcesFit: what a pod requests must be left on the node; emptier nodes score higher.

Upstream: pkg/scheduler/framework/plugins/noderesources fit.go, least_allocated.go.
"""

from typing import Final

from tiphys.scheduler.framework import (
    NODE_ADD,
    NODE_ALLOCATABLE,
    POD_DELETE,
    POD_UPDATE,
    SCORE_MAX,
    NodeInfo,
    PodInfo,
    Snapshot,
    Verdict,
)

NAME: Final = "NodeResourcesFit"
RETRY_ON: Final = frozenset({NODE_ADD, NODE_ALLOCATABLE, POD_DELETE, POD_UPDATE})
TOO_MANY_PODS: Final = "Too many pods"
SCORED: Final = ("cpu", "memory")
_ORDER: Final = {"cpu": 0, "memory": 1, "ephemeral-storage": 2}


def filter_node(pod: PodInfo, node: NodeInfo) -> Verdict | None:
    reasons: list[str] = []
    hopeless = False
    if len(node.pods) + 1 > node.allocatable.get("pods", 0):
        reasons.append(TOO_MANY_PODS)
    for name, wanted in sorted(pod.requests.items(), key=lambda i: (_ORDER.get(i[0], 3), i[0])):
        if wanted == 0:
            continue
        whole = node.allocatable.get(name, 0)
        if wanted > whole - node.requested.get(name, 0):
            reasons.append(f"Insufficient {name}")
            hopeless = hopeless or wanted > whole
    return Verdict(tuple(reasons), unresolvable=hopeless) if reasons else None


def score_node(pod: PodInfo, node: NodeInfo, snapshot: Snapshot) -> int:
    """The mean of what is left, in hundredths."""
    scores: list[int] = []
    for name in SCORED:
        whole = node.allocatable.get(name, 0)
        if whole == 0:
            continue
        used = node.scoring_requested.get(name, 0) + pod.scoring_requests.get(name, 0)
        scores.append((whole - used) * SCORE_MAX // whole if used <= whole else 0)
    return sum(scores) // len(scores) if scores else 0
