"""Making a node's kernel hold what a NetworkPlan says, and nothing of ours beside it.

Our routes are known by their protocol number, our entries by their link: what others made stays.
"""

from collections.abc import Callable, Set
from ipaddress import IPv4Interface
from typing import Final

from tiphys.lib.netlink.neighbour import Entry, NeighbourTable, neighbour_tables
from tiphys.lib.netlink.route import Link, Route, RouteSocket, route_socket
from tiphys.network.plan import (
    VXLAN_LINK,
    VXLAN_OVERHEAD_BYTES,
    VXLAN_PORT,
    VXLAN_VNI,
    NetworkPlan,
    WantedRoute,
    overlay_mac,
)

ROUTE_PROTOCOL: Final = 84  # Not given to anybody in linux/rtnetlink.h.


class NoSuchAddress(OSError):
    """No link has the node's own address."""


def own_link(address: str) -> tuple[Link, IPv4Interface]:
    """The link with the node's address, and that address with its network. Raises NoSuchAddress."""
    with route_socket() as route:
        for index, interface in route.addresses():
            if interface.partition("/")[0] == address:
                link = next(one for one in route.links() if one.index == index)
                return link, IPv4Interface(interface)
    raise NoSuchAddress(f"no link of this machine has the node's address {address}")


def apply(wanted: NetworkPlan, node_name: str, node_address: str) -> int:
    """Write the difference only; returns how many changes that took. Raises OSError."""
    link, _ = own_link(node_address)
    with route_socket() as route:
        changes = _apply_link(route, wanted, node_name, node_address, link)
        changes += _apply_routes(route, wanted.routes)
    return changes


def _apply_link(
    route: RouteSocket, wanted: NetworkPlan, node_name: str, node_address: str, under: Link
) -> int:
    """The overlay's link with its two tables; no link where no peer needs it."""
    found = next((one for one in route.links() if one.name == VXLAN_LINK), None)
    if not wanted.end:
        if found is not None:
            route.delete_link(VXLAN_LINK)
        return int(found is not None)
    changes = 0
    mtu = under.mtu - VXLAN_OVERHEAD_BYTES
    if found is not None and (found.mtu, found.mac) != (mtu, overlay_mac(node_name)):
        route.delete_link(VXLAN_LINK)
        found = None
    if found is None:
        route.add_vxlan(
            VXLAN_LINK,
            vni=VXLAN_VNI,
            port=VXLAN_PORT,
            local=node_address,
            mac=overlay_mac(node_name),
            mtu=mtu,
        )
        changes += 1
    here = route.link(VXLAN_LINK)
    if (here.index, f"{wanted.end}/32") not in route.addresses():
        route.add_address(VXLAN_LINK, f"{wanted.end}/32")
        changes += 1
    if not here.up:
        route.set_up(VXLAN_LINK)
        changes += 1
    with neighbour_tables(here.index) as (neighbours, forwarding):
        changes += _apply_table(neighbours, wanted.neighbours)
        changes += _apply_table(forwarding, wanted.forwarding)
    return changes


def _apply_table(table: NeighbourTable, wanted: frozenset[Entry]) -> int:
    have = table.entries()
    for entry in have - wanted:
        table.delete(entry)
    for entry in wanted - have:
        table.add(entry)
    return len(have ^ wanted)


def _apply_routes(route: RouteSocket, wanted: frozenset[WantedRoute]) -> int:
    return write_routes(route, wanted, lambda destination: True)


def write_routes(
    route: RouteSocket, wanted: Set[WantedRoute], is_ours: Callable[[str], bool]
) -> int:
    """Write the difference to our routes whose destination is_ours accepts."""
    over = next((one.index for one in route.links() if one.name == VXLAN_LINK), 0)
    ours = (r for r in route.routes() if r.protocol == ROUTE_PROTOCOL and is_ours(r.destination))
    have = {_as_wanted(r, over) for r in ours}
    for new in wanted - have:
        route.add_route(
            new.destination,
            gateway=new.gateway,
            interface=VXLAN_LINK if new.over_vxlan else "",
            onlink=new.over_vxlan,
            protocol=ROUTE_PROTOCOL,
        )
    kept = {one.destination for one in wanted}
    for old in have - wanted:
        if old.destination not in kept:  # Those were replaced above, without a gap.
            over_link = VXLAN_LINK if old.over_vxlan else ""
            route.delete_route(old.destination, gateway=old.gateway, interface=over_link)
    return len(have ^ wanted)


def _as_wanted(route: Route, vxlan_index: int) -> WantedRoute:
    over_vxlan = bool(vxlan_index) and route.interface == vxlan_index
    return WantedRoute(route.destination, route.gateway, over_vxlan)
