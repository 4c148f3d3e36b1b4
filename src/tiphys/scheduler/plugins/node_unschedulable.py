"""NodeUnschedulable: a cordoned node takes only pods that tolerate it.

Upstream: pkg/scheduler/framework/plugins/nodeunschedulable.
"""

from typing import Final

from tiphys.api.meta import at
from tiphys.scheduler.framework import (
    NODE_ADD,
    NODE_TAINT,
    POD_UPDATE,
    NodeInfo,
    PodInfo,
    Verdict,
    unresolvable,
)
from tiphys.scheduler.tolerations import tolerates

NAME: Final = "NodeUnschedulable"
RETRY_ON: Final = frozenset({NODE_ADD, NODE_TAINT, POD_UPDATE})
REASON: Final = "node(s) were unschedulable"
_TAINT: Final = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def filter_node(pod: PodInfo, node: NodeInfo) -> Verdict | None:
    if not at(node.node, "spec", "unschedulable"):
        return None
    tolerations = at(pod.pod, "spec", "tolerations", default=[])
    if any(tolerates(t, _TAINT) for t in tolerations):
        return None
    return unresolvable(REASON)
