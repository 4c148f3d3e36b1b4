"""Nodes in network namespaces reach each other's pods as planned. Needs root."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from tiphys.lib import sysctl
from tiphys.lib.netlink import netns
from tiphys.lib.netlink.route import route_socket
from tiphys.network import kernel
from tiphys.network.plan import VXLAN_LINK, NetworkPlan, Overlay, Peer, plan

pytestmark = pytest.mark.root

# Two nodes on one link, a third behind a router.
NODES = {
    "a": ("192.0.2.2/25", "10.244.0.0/24"),
    "b": ("192.0.2.3/25", "10.244.1.0/24"),
    "c": ("192.0.2.130/25", "10.244.2.0/24"),
}
ROUTERS = ("192.0.2.1/25", "192.0.2.129/25")


def address(name: str) -> str:
    return NODES[name][0].partition("/")[0]


def pod(name: str) -> str:
    return NODES[name][1].replace(".0/24", ".9")


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Namespaces a, b, c joined by a router; each has a pod's address on a link of its own."""
    paths = {name: tmp_path / name for name in (*NODES, "router")}
    for path in paths.values():
        netns.create(path)
    with netns.inside(paths["router"]), route_socket() as route:
        sysctl.write("net.ipv4.ip_forward", "1")
        for number, of in enumerate(("ab", "c")):
            bridge = f"bridge{number}"
            route.add_bridge(bridge)
            route.add_address(bridge, ROUTERS[number])
            route.set_up(bridge)
            for name in of:
                with paths[name].open("rb") as there:
                    route.add_veth(name, "eth0", peer_netns_fd=there.fileno())
                route.set_master(name, bridge)
                route.set_up(name)
    for name, (own, _) in NODES.items():
        with netns.inside(paths[name]), route_socket() as route:
            sysctl.write("net.ipv4.ip_forward", "1")
            for link in ("lo", "eth0"):
                route.set_up(link)
            route.add_address("eth0", own)
            route.add_route("default", gateway=ROUTERS[name == "c"].partition("/")[0])
            route.add_address("lo", f"{pod(name)}/32")
    yield paths
    for path in paths.values():
        netns.delete(path)


def wanted(name: str, overlay: Overlay, others: str) -> NetworkPlan:
    peers = [Peer(other, address(other), NODES[other][1]) for other in others]
    own, cidr = NODES[name]
    return plan(peers, cidr, IPv4Interface(own), overlay)


def apply_all(machines: dict[str, Path], overlay: Overlay) -> int:
    changes = 0
    for name in NODES:
        with netns.inside(machines[name]):
            others = "".join(NODES.keys() - {name})
            changes += kernel.apply(wanted(name, overlay, others), name, address(name))
    return changes


@contextmanager
def listening(machine: Path, host: str) -> Iterator[socket.socket]:
    with netns.inside(machine):
        listener = socket.create_server((host, 8080))
    with listener:
        yield listener


def sees(machines: dict[str, Path], client: str, server: str) -> str:
    """Whom the pod of one node sees when the pod of another calls it."""
    with listening(machines[server], pod(server)) as listener:
        with netns.inside(machines[client]):
            calling = socket.create_connection(
                (pod(server), 8080), 5, source_address=(pod(client), 0)
            )
        with calling:
            accepted, peer = listener.accept()
            accepted.close()
            return str(peer[0])


@pytest.mark.parametrize("overlay", [Overlay.AUTO, Overlay.VXLAN])
def test_every_pod_reaches_every_other_without_translation(
    machines: dict[str, Path], overlay: Overlay
) -> None:
    assert apply_all(machines, overlay) > 0
    for client in NODES:
        for server in NODES.keys() - {client}:
            assert sees(machines, client, server) == pod(client)
    assert apply_all(machines, overlay) == 0, "a second time changes nothing"


def test_what_no_node_needs_goes_and_others_routes_stay(machines: dict[str, Path]) -> None:
    apply_all(machines, Overlay.VXLAN)
    with netns.inside(machines["a"]), route_socket() as route:
        route.add_route("198.51.100.0/24", gateway=address("b"))
        kernel.apply(wanted("a", Overlay.VXLAN, "b"), "a", address("a"))
        assert NODES["c"][1] not in [r.destination for r in route.routes()]
        kernel.apply(wanted("a", Overlay.HOST_GW, "b"), "a", address("a"))
        assert VXLAN_LINK not in [link.name for link in route.links()]
        ways = {r.destination: r.gateway for r in route.routes()}
        assert ways[NODES["b"][1]] == address("b")
        assert ways["198.51.100.0/24"] == address("b")


def test_what_somebody_took_away_comes_back(machines: dict[str, Path]) -> None:
    apply_all(machines, Overlay.VXLAN)
    with netns.inside(machines["a"]), route_socket() as route:
        route.delete_link(VXLAN_LINK)
    assert apply_all(machines, Overlay.VXLAN) > 0
    assert sees(machines, "a", "c") == pod("a")


def test_an_address_that_no_link_has_is_said(machines: dict[str, Path]) -> None:
    with netns.inside(machines["a"]), pytest.raises(kernel.NoSuchAddress, match=r"203\.0\.113\.9"):
        kernel.apply(NetworkPlan(), "a", "203.0.113.9")
