"""From Node objects to what a node's kernel must know to reach the pods of the others. Pure.

host-gw: on a shared link the other node itself is the gateway of its pods. vxlan: packets travel
inside UDP between the nodes; nothing is flooded or learnt, each node has one route, one neighbour
entry and one forwarding entry. auto: host-gw for nodes on our link, vxlan for the others.
The link address of a node's end of the overlay follows from its name, so no node has to publish it.
Source: the design of flannel's backends (Documentation/backends.md), RFC 7348.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Interface, IPv4Network
from typing import Final, NamedTuple

from tiphys.api.meta import Obj, at, name_of
from tiphys.lib.netlink.neighbour import Entry

VXLAN_LINK: Final = "tiphys.vxlan"
VXLAN_VNI: Final = 1
VXLAN_PORT: Final = 4789  # RFC 7348 section 8.
VXLAN_OVERHEAD_BYTES: Final = 50  # Outer Ethernet, IPv4, UDP and VXLAN headers.


class Overlay(StrEnum):
    AUTO = "auto"
    VXLAN = "vxlan"
    HOST_GW = "host-gw"


class Peer(NamedTuple):
    """Another node: its own address and the range of its pods."""

    name: str
    address: str
    pod_cidr: str


class WantedRoute(NamedTuple):
    destination: str
    gateway: str
    over_vxlan: bool


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    routes: frozenset[WantedRoute] = frozenset()
    neighbours: frozenset[Entry] = frozenset()  # Other ends of the overlay, and their link address.
    forwarding: frozenset[Entry] = frozenset()  # Link address -> the node's own address.
    end: str = ""  # Our end of the overlay; empty where none is needed.


def peers_of(nodes: Iterable[Obj], own_name: str) -> list[Peer]:
    """The other nodes that have an address and a range of pods."""
    found = []
    for node in nodes:
        address, cidr = internal_address(node), str(at(node, "spec", "podCIDR", default=""))
        if name_of(node) != own_name and address and cidr:
            found.append(Peer(name_of(node), address, cidr))
    return found


def internal_address(node: Obj) -> str:
    """The first InternalIP of IPv4; empty when there is none."""
    for one in at(node, "status", "addresses", default=[]):
        if one.get("type") == "InternalIP" and ":" not in one.get("address", ""):
            return str(one["address"])
    return ""


def plan(
    peers: Iterable[Peer], own_cidr: str, link: IPv4Interface, overlay: Overlay
) -> NetworkPlan:
    """What the kernel of the node with this range and this address on its link must hold.

    own_cidr is empty until it is given out. Nodes that share no link cannot use host-gw: with that
    overlay they get no route.
    """
    routes, neighbours, forwarding = set(), set(), set()
    for peer in peers:
        shares_link = IPv4Interface(peer.address).ip in link.network
        if overlay is Overlay.HOST_GW or (overlay is Overlay.AUTO and shares_link):
            if shares_link:
                routes.add(WantedRoute(peer.pod_cidr, peer.address, over_vxlan=False))
            continue
        if not own_cidr:
            continue  # Without our own end of the overlay nobody could answer.
        end, mac = overlay_end(peer.pod_cidr), overlay_mac(peer.name)
        routes.add(WantedRoute(peer.pod_cidr, end, over_vxlan=True))
        neighbours.add(Entry(end, mac))
        forwarding.add(Entry(peer.address, mac))
    own_end = overlay_end(own_cidr) if forwarding else ""
    return NetworkPlan(frozenset(routes), frozenset(neighbours), frozenset(forwarding), own_end)


def host_routes(nodes: Iterable[Peer], entry: str, shared: Iterable[str]) -> set[WantedRoute]:
    """How the host reaches a profile's pods, each over its node, and its shared ranges
    (services, load balancers), over the node with the address `entry`."""
    routes = {WantedRoute(n.pod_cidr, n.address, over_vxlan=False) for n in nodes}
    return routes | {WantedRoute(s, entry, over_vxlan=False) for s in shared if entry}


def overlay_end(pod_cidr: str) -> str:
    """The address of a node's end of the overlay: the first of its range, which no pod gets."""
    return str(IPv4Network(pod_cidr).network_address)


def overlay_mac(node_name: str) -> bytes:
    """A locally administered unicast address."""
    digest = hashlib.sha256(f"{VXLAN_LINK}/{node_name}".encode()).digest()
    return bytes([(digest[0] & 0xFC) | 0x02]) + digest[1:6]


def pod_mtu(link_mtu: int, overlay: Overlay, *, one_link: bool) -> int:
    """Bytes of a pod's packets: room for the overlay's headers unless no packet ever takes it."""
    if overlay is Overlay.HOST_GW or (overlay is Overlay.AUTO and one_link):
        return link_mtu
    return link_mtu - VXLAN_OVERHEAD_BYTES
