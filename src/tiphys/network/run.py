"""The network agent: watches Nodes and keeps this node's way to the pods of the others.

Works in the node's network namespace. What it wrote stays when it ends: traffic goes on.
Upstream's place for this is the cluster network add-on (flannel, kindnet).
"""

from tiphys.api.meta import Obj, at, name_of
from tiphys.client.rest import Client
from tiphys.network import kernel
from tiphys.network.config import NetworkConfig
from tiphys.network.nodes import NodeFollower
from tiphys.network.plan import NetworkPlan, peers_of, plan


async def run(config: NetworkConfig, client: Client) -> None:
    """Work until cancelled."""
    await NetworkAgent(client, config).run()


class NetworkAgent:
    def __init__(self, client: Client, config: NetworkConfig) -> None:
        self._config = config
        self._nodes = NodeFollower(client, config.repair_seconds)

    async def run(self) -> None:
        await self._nodes.follow(self._sync)

    def _sync(self, nodes: list[Obj]) -> int:
        name, address = self._config.node_name, self._config.node_address
        return kernel.apply(self.plan(nodes), name, address)

    def plan(self, nodes: list[Obj]) -> NetworkPlan:
        """Raises OSError when no link has the node's address."""
        own = next((n for n in nodes if name_of(n) == self._config.node_name), None)
        _, interface = kernel.own_link(self._config.node_address)
        peers = peers_of(nodes, self._config.node_name)
        cidr = str(at(own, "spec", "podCIDR", default=""))
        return plan(peers, cidr, interface, self._config.overlay)
