"""NodeResourcesBalancedAllocation: prefer nodes where CPU and memory are used alike.

Upstream: pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go.
"""

from typing import Final

from tiphys.scheduler.framework import SCORE_MAX, NodeInfo, PodInfo, Snapshot
from tiphys.scheduler.plugins.node_resources_fit import SCORED

NAME: Final = "NodeResourcesBalancedAllocation"


def score_node(pod: PodInfo, node: NodeInfo, snapshot: Snapshot) -> int:
    """Half of 100, plus what the pod improves. A pod that requests nothing changes nothing."""
    if not any(pod.requests.get(name) for name in SCORED):
        return 0
    after = _balance(node, pod.requests)
    before = _balance(node, {})
    return int(SCORE_MAX / 2 + (after - before) / 2) if before <= after else int(after / 2)


def _balance(node: NodeInfo, more: dict[str, int]) -> float:
    """100 less the standard deviation of the used fractions, in hundredths."""
    fractions = []
    for name in SCORED:
        whole = node.allocatable.get(name, 0)
        if whole:
            used = node.requested.get(name, 0) + more.get(name, 0)
            fractions.append(min(used / whole, 1.0))
    if len(fractions) < 2:
        return float(SCORE_MAX)
    return (1 - abs(fractions[0] - fractions[1]) / 2) * SCORE_MAX
