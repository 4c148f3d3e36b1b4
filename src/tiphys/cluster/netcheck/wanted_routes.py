"""Which routes a place must have: to the world, to Services, to other nodes' pods, to its own pods.

Pure but for `own_interface` and `missing_routes`, which read what the kernel has.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network
from typing import NamedTuple

from tiphys.api.meta import Obj, at
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.profile import Profile
from tiphys.lib.netlink.route import Route, route_socket
from tiphys.network.kernel import ROUTE_PROTOCOL, own_link
from tiphys.network.plan import VXLAN_LINK, NetworkPlan, Overlay, internal_address, peers_of, plan


class Wanted(NamedTuple):
    """gateway or device, or both; what: for people."""

    destination: str
    gateway: str
    device: str
    what: str
    protocol: int = 0
    node: str = ""  # The other node that it leads to.


def network_plan(
    profile: Profile, nodes: Sequence[Obj], name: str, link: IPv4Interface
) -> NetworkPlan:
    """What the network agent of a node plans. link: the node's address with its network."""
    own = next((n for n in nodes if at(n, "metadata", "name") == name), None)
    cidr = str(at(own, "spec", "podCIDR", default=""))
    return plan(peers_of(nodes, name), cidr, link, Overlay(profile.overlay))


def own_interface(place: Place) -> IPv4Interface:
    """A node's address with its network, as its link has it. Raises OSError."""
    with place.inside():
        return own_link(place.address)[1]


def of_node(profile: Profile, nodes: Sequence[Obj], name: str, link: IPv4Interface) -> list[Wanted]:
    """A node's, without those to its own pods."""
    found = [Wanted(profile.service_cidr, "", "lo", "Services")]
    if not profile.uses_host_network:  # Else it is the machine's own affair.
        found.append(Wanted("default", profile.gateway, "", "everything elsewhere"))
    owner = {p.pod_cidr: p.name for p in peers_of(nodes, name)}
    for route in sorted(network_plan(profile, nodes, name, link).routes):
        to = owner.get(route.destination, "")
        device = VXLAN_LINK if route.over_vxlan else ""
        what = f"pods of {to}"
        found.append(Wanted(route.destination, route.gateway, device, what, ROUTE_PROTOCOL, to))
    return found


def of_host(profile: Profile, nodes: Sequence[Obj]) -> list[Wanted]:
    """To the pods of each node. Services and load balancers are reached over any node."""
    network = IPv4Network(profile.node_cidr)
    found = []
    for peer in peers_of(nodes, ""):
        if IPv4Network(peer.address).subnet_of(network):
            what = f"pods of {peer.name}"
            found.append(Wanted(peer.pod_cidr, peer.address, "", what, ROUTE_PROTOCOL, peer.name))
    for shared, what in (
        (profile.service_cidr, "Services"),
        (profile.load_balancer_pool, "load balancers"),
    ):
        entry = next((internal_address(n) for n in nodes if internal_address(n)), "")
        found.append(Wanted(shared, f"~{entry}", "", what, ROUTE_PROTOCOL))
    return found


def missing(
    wanted: Iterable[Wanted], have: Iterable[Route], devices: Mapping[int, str]
) -> list[Wanted]:
    """Those that are not there, or lead elsewhere. A gateway that begins with ~ may be another."""
    seen: dict[str, set[tuple[str, str]]] = {}
    for route in have:
        device = devices.get(route.interface, "")
        seen.setdefault(route.destination, set()).add((route.gateway, device))
    return [one for one in wanted if not any(_same(one, s) for s in seen.get(one.destination, ()))]


def _same(wanted: Wanted, seen: tuple[str, str]) -> bool:
    gateway, device = seen
    if wanted.gateway and not wanted.gateway.startswith("~") and gateway != wanted.gateway:
        return False
    return not wanted.device or device == wanted.device


def route_command(place: Place, route: Wanted) -> str:
    """A command that makes it. Pure."""
    words = [f"{place.prefix}ip route replace {route.destination}"]
    if route.gateway:
        words.append(f"via {route.gateway.removeprefix('~')}")
    if route.device:
        words.append(f"dev {route.device}")
    if route.device == VXLAN_LINK:
        words.append("onlink")
    elif route.device == "lo":
        words.append(f"src {place.address}")
    if route.protocol:
        words.append(f"proto {route.protocol}")
    return " ".join(words)


def missing_routes(scene: Scene, place: Place) -> list[Wanted]:
    """Reads the kernel's routes and addresses. Raises OSError."""
    if scene.world.nodes is None:
        return []
    nodes = scene.world.nodes
    if place is scene.host:
        wanted = of_host(scene.profile, nodes)
    else:
        wanted = of_node(scene.profile, nodes, place.name, own_interface(place))
    with place.inside(), route_socket() as route:
        devices = {link.index: link.name for link in route.links()}
        return missing(wanted, route.routes(), devices)
