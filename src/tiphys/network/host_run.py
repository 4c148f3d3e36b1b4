"""The host's side of a profile on one machine: routes to the pods and services of its nodes.

Runs outside the nodes. Upstream's place for this is a cloud's router
(k8s.io/cloud-provider/controllers/route).
"""

from dataclasses import dataclass
from ipaddress import IPv4Network

from tiphys.api.meta import Obj, name_of
from tiphys.client.rest import Client
from tiphys.lib.netlink.route import route_socket
from tiphys.network import kernel
from tiphys.network.nodes import NodeFollower, is_ready
from tiphys.network.plan import host_routes, internal_address, peers_of


@dataclass(frozen=True, slots=True)
class HostNetworkConfig:
    node_cidr: str
    pod_cidr: str
    shared_cidrs: tuple[str, ...]  # Services and load balancers: any ready node takes them.
    repair_seconds: float = 10.0


async def run(config: HostNetworkConfig, client: Client) -> None:
    """Work until cancelled. The routes stay when we end."""
    await NodeFollower(client, config.repair_seconds).follow(lambda nodes: sync(config, nodes))


def sync(config: HostNetworkConfig, nodes: list[Obj]) -> int:
    """Raises OSError."""
    node_network = IPv4Network(config.node_cidr)
    local = [p for p in peers_of(nodes, "") if IPv4Network(p.address).subnet_of(node_network)]
    entry = entry_of(nodes, {p.name for p in local})
    ranges = [IPv4Network(c) for c in (config.pod_cidr, *config.shared_cidrs)]

    def is_ours(destination: str) -> bool:
        if destination == "default" or (not entry and destination in config.shared_cidrs):
            return False  # While no node is ready the old way is as good as any.
        return any(IPv4Network(destination).subnet_of(r) for r in ranges)

    with route_socket() as route:
        wanted = host_routes(local, entry, config.shared_cidrs)
        return kernel.write_routes(route, wanted, is_ours)


def entry_of(nodes: list[Obj], local: set[str]) -> str:
    """The address of the ready node that is first by name; empty when none is ready."""
    ready = sorted((n for n in nodes if name_of(n) in local and is_ready(n)), key=name_of)
    return internal_address(ready[0]) if ready else ""
