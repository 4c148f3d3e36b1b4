"""A node that is the machine itself: its network is the host's, so that other machines reach it.

    lo:        SERVICES and load balancers leave by it, to be sent on to their pods
    table:     what pods send out of the cluster takes the machine's address
    by others: pods' links and routes (runtime), ways to other nodes (network agent), services
               (proxy), network policies, the DNS server's address on lo

The machine's other settings stay as they are. Mounts and host name are the node's own, as for a
node in a namespace. Only one such node fits on a machine.
"""

from tiphys.cluster import forwarding
from tiphys.cluster import profile as profiles
from tiphys.cluster.profile import Profile, ProfileError
from tiphys.lib.netlink.route import RouteSocket, route_socket
from tiphys.network.kernel import ROUTE_PROTOCOL
from tiphys.network.plan import VXLAN_LINK


def ensure(profile: Profile) -> None:
    """The machine's side of its node; repeating it changes nothing. Raises OSError."""
    (node,) = profile.nodes
    forwarding.enable(forwarding.RECORD)
    with route_socket() as route:
        route.set_up("lo")
        for destination in _over_loopback(profile):
            route.add_route(destination, interface="lo", source=node.address)


def table(profile: Profile, name: str) -> str:
    """nftables text: what pods send out of the cluster takes the machine's address."""
    pods = profile.pod_cidr
    return f"""table ip {name}
delete table ip {name}
table ip {name} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {pods} ip daddr != {pods} masquerade
  }}
}}
"""


def remove(profile: Profile) -> None:
    """Take everything away again, also what the node's processes leave when they end."""
    from tiphys.policy import nftables as policies
    from tiphys.proxy import modes

    with route_socket() as route:
        for destination in _over_loopback(profile):
            _delete_route(route, destination)
        route.delete_address("lo", f"{profile.dns_service}/32")
        route.delete_link(VXLAN_LINK)
        for found in route.routes():
            if found.protocol == ROUTE_PROTOCOL:
                route.delete_route(found.destination, gateway=found.gateway)
    modes.remove_all()
    policies.remove()


def _delete_route(route: RouteSocket, destination: str) -> None:
    names = {link.index: link.name for link in route.links()}
    for found in route.routes():
        if found.destination == destination and names.get(found.interface) == "lo":
            route.delete_route(destination, interface="lo")


def _over_loopback(profile: Profile) -> tuple[str, str]:
    return profile.service_cidr, profile.load_balancer_pool


def check_alone(profile: Profile) -> None:
    """Raises ProfileError when the machine's network has a node of ours already."""
    from tiphys.cluster import processes

    for name in profiles.names(profile.roots):
        if name == profile.name:
            continue
        try:
            other = profiles.load(profile.roots, name)
        except ProfileError:
            continue
        if other is None or not other.uses_host_network or not other.nodes:
            continue
        if processes.supervisor(other) is not None:
            raise ProfileError(
                f'the machine is a node of profile "{name}" already: `tiphys stop -p {name}` first',
                reason="MACHINE_ADDRESS",
            )
