"""Which pods' addresses can be probed. Pure."""

from collections.abc import Sequence

from tiphys.api.meta import at
from tiphys.cluster.netcheck import planned_rules
from tiphys.cluster.netcheck.scene import Scene


def addresses(scene: Scene, node: str) -> Sequence[str]:
    """Of a node's running pods that have an address of their own."""
    return [
        str(at(pod, "status", "podIP"))
        for pod in scene.world.pods or []
        if at(pod, "spec", "nodeName") == node
        and at(pod, "status", "phase") == "Running"
        and at(pod, "status", "podIP")
        and not at(pod, "spec", "hostNetwork")
        and not at(pod, "metadata", "deletionTimestamp")
    ]


def open_addresses(scene: Scene, node: str) -> Sequence[str]:
    """Those to which no policy forbids anything: that a packet is dropped there is no fault."""
    isolated = planned_rules.policies_of(scene, node).ingress
    return [address for address in addresses(scene, node) if address not in isolated]
