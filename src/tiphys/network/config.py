"""What a node's network agent is told."""

from dataclasses import dataclass

from tiphys.network.plan import Overlay


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    node_name: str
    node_address: str  # Finds the link over which the other nodes are reached.
    overlay: Overlay = Overlay.AUTO
    repair_seconds: float = 10.0  # How often the kernel is compared with the plan.
