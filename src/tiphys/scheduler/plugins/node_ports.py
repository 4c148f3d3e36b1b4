"""NodePorts: a host port belongs to one pod of a node.

Upstream: pkg/scheduler/framework/plugins/nodeports.
"""

from typing import Final

from tiphys.scheduler.framework import (
    NODE_ADD,
    POD_DELETE,
    NodeInfo,
    PodInfo,
    Verdict,
    unschedulable,
)

NAME: Final = "NodePorts"
RETRY_ON: Final = frozenset({NODE_ADD, POD_DELETE})
REASON: Final = "node(s) didn't have free ports for the requested pod ports"
_ANY: Final = "0.0.0.0"


def filter_node(pod: PodInfo, node: NodeInfo) -> Verdict | None:
    for address, protocol, port in pod.host_ports:
        for used_address, used_protocol, used_port in node.ports:
            if (used_protocol, used_port) != (protocol, port):
                continue
            if used_address == address or _ANY in (used_address, address):
                return unschedulable(REASON)
    return None
