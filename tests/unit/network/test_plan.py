"""The way between nodes: what a node's kernel is to hold."""

from ipaddress import IPv4Interface
from typing import Any

import pytest

from tiphys.lib.netlink.neighbour import Entry
from tiphys.network.host_run import entry_of
from tiphys.network.plan import (
    NetworkPlan,
    Overlay,
    Peer,
    WantedRoute,
    host_routes,
    overlay_end,
    overlay_mac,
    peers_of,
    plan,
    pod_mtu,
)

LINK = IPv4Interface("192.168.49.2/24")
NEAR = Peer("near", "192.168.49.3", "10.244.1.0/24")
FAR = Peer("far", "192.0.2.7", "10.244.2.0/24")
OWN = "10.244.0.0/24"
BY_NODE = WantedRoute(NEAR.pod_cidr, NEAR.address, over_vxlan=False)


def over(*peers: Peer) -> NetworkPlan:
    return NetworkPlan(
        frozenset(WantedRoute(p.pod_cidr, overlay_end(p.pod_cidr), True) for p in peers),
        frozenset(Entry(overlay_end(p.pod_cidr), overlay_mac(p.name)) for p in peers),
        frozenset(Entry(p.address, overlay_mac(p.name)) for p in peers),
        "10.244.0.0",
    )


@pytest.mark.parametrize(
    ("overlay", "own", "wanted"),
    [
        (Overlay.HOST_GW, OWN, NetworkPlan(frozenset({BY_NODE}))),
        (Overlay.VXLAN, OWN, over(NEAR, FAR)),
        (Overlay.VXLAN, "", NetworkPlan()),
        (Overlay.AUTO, "", NetworkPlan(frozenset({BY_NODE}))),
        (
            Overlay.AUTO,
            OWN,
            NetworkPlan(
                frozenset({BY_NODE, *over(FAR).routes}),
                over(FAR).neighbours,
                over(FAR).forwarding,
                "10.244.0.0",
            ),
        ),
    ],
)
def test_each_overlay_has_its_ways(overlay: Overlay, own: str, wanted: NetworkPlan) -> None:
    assert plan([NEAR, FAR], own, LINK, overlay) == wanted


def test_no_link_is_made_for_nobody() -> None:
    assert plan([], OWN, LINK, Overlay.VXLAN) == NetworkPlan()


def a_node(name: str, address: str = "", cidr: str = "", ready: str = "True") -> dict[str, Any]:
    addresses = [{"type": "Hostname", "address": name}]
    addresses += [{"type": "InternalIP", "address": a} for a in ("fd00::1", address) if address]
    conditions = [{"type": "Ready", "status": ready}]
    return {
        "metadata": {"name": name},
        "spec": {"podCIDR": cidr} if cidr else {},
        "status": {"addresses": addresses, "conditions": conditions},
    }


def test_only_other_nodes_with_address_and_range_are_peers() -> None:
    nodes = [a_node("me", "192.168.49.2", OWN), a_node("new", "192.168.49.9"), a_node("x", "", OWN)]
    nodes.append(a_node(NEAR.name, NEAR.address, NEAR.pod_cidr))
    assert peers_of(nodes, "me") == [NEAR]


def test_link_addresses_are_unicast_and_local() -> None:
    macs = {overlay_mac(f"node-{n}") for n in range(100)}
    assert len(macs) == 100
    assert all(mac[0] & 3 == 2 for mac in macs)


@pytest.mark.parametrize(
    ("overlay", "one_link", "mtu"),
    [
        (Overlay.AUTO, True, 1500),
        (Overlay.AUTO, False, 1450),
        (Overlay.HOST_GW, False, 1500),
        (Overlay.VXLAN, True, 1450),
    ],
)
def test_pods_leave_room_for_the_overlay(overlay: Overlay, one_link: bool, mtu: int) -> None:
    assert pod_mtu(1500, overlay, one_link=one_link) == mtu


def test_the_host_enters_by_the_first_ready_node() -> None:
    nodes = [a_node("b", "192.168.49.3"), a_node("a", "192.168.49.2", ready="Unknown")]
    assert entry_of(nodes, {"a", "b"}) == "192.168.49.3"
    assert entry_of(nodes, {"a"}) == ""
    routes = host_routes([NEAR], "192.168.49.3", ["10.96.0.0/16"])
    assert routes == {BY_NODE, WantedRoute("10.96.0.0/16", "192.168.49.3", over_vxlan=False)}
