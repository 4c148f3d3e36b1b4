"""NodeName: a pod that names its node goes there or nowhere.

Upstream: pkg/scheduler/framework/plugins/nodename.
"""

from typing import Final

from tiphys.api.meta import at
from tiphys.scheduler.framework import NODE_ADD, NodeInfo, PodInfo, Verdict, unresolvable

NAME: Final = "NodeName"
RETRY_ON: Final = frozenset({NODE_ADD})
REASON: Final = "node(s) didn't match the requested node name"


def filter_node(pod: PodInfo, node: NodeInfo) -> Verdict | None:
    wanted = at(pod.pod, "spec", "nodeName")
    return unresolvable(REASON) if wanted and wanted != node.name else None
