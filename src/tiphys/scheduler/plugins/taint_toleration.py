"""TaintToleration: hard taints keep pods away, soft ones make a node less welcome.

Upstream: pkg/scheduler/framework/plugins/tainttoleration.
"""

from typing import Final

from tiphys.api.meta import at
from tiphys.scheduler.framework import (
    NODE_ADD,
    NODE_TAINT,
    POD_UPDATE,
    NodeInfo,
    PodInfo,
    Snapshot,
    Verdict,
    normalized,
    unresolvable,
)
from tiphys.scheduler.tolerations import tolerates

NAME: Final = "TaintToleration"
RETRY_ON: Final = frozenset({NODE_ADD, NODE_TAINT, POD_UPDATE})
REASON: Final = "node(s) had untolerated taint(s)"  # Users and autoscalers read this text.


def filter_node(pod: PodInfo, node: NodeInfo) -> Verdict | None:
    tolerations = at(pod.pod, "spec", "tolerations", default=[])
    for taint in at(node.node, "spec", "taints", default=[]):
        if taint.get("effect") not in ("NoSchedule", "NoExecute"):
            continue
        if not any(tolerates(t, taint) for t in tolerations):
            return unresolvable(REASON)
    return None


def score_node(pod: PodInfo, node: NodeInfo, snapshot: Snapshot) -> int:
    """Number of soft taints the pod does not tolerate: lower is better, see normalize."""
    tolerations = [
        t
        for t in at(pod.pod, "spec", "tolerations", default=[])
        if t.get("effect") in (None, "", "PreferNoSchedule")
    ]
    return sum(
        1
        for taint in at(node.node, "spec", "taints", default=[])
        if taint.get("effect") == "PreferNoSchedule"
        and not any(tolerates(t, taint) for t in tolerations)
    )


def normalize(scores: dict[str, int]) -> dict[str, int]:
    return normalized(scores, reverse=True)
