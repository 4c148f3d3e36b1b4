"""Two pods of a node reach each other and the node; detaching leaves nothing. Needs root."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiphys.cni.routed_veth import NetworkNotReady, RoutedVethNetwork, interface_name
from tiphys.lib import sysctl
from tiphys.lib.netlink import netns
from tiphys.lib.netlink.route import route_socket

pytestmark = pytest.mark.root


@pytest.fixture
def namespaces(tmp_path: Path) -> Iterator[list[Path]]:
    paths = [tmp_path / name for name in ("node", "pod-a", "pod-b")]
    for path in paths:
        netns.create(path)
    yield paths
    for path in paths:
        netns.delete(path)


def test_pods_reach_each_other_and_detaching_leaves_nothing(
    namespaces: list[Path], tmp_path: Path
) -> None:
    node, pod_a, pod_b = namespaces
    with netns.inside(node):
        sysctl.write("net.ipv4.ip_forward", "1")
        network = RoutedVethNetwork(tmp_path / "state")
        with pytest.raises(NetworkNotReady):
            asyncio.run(network.attach(pod_a, "a"))
        network.set_pod_cidr("10.244.7.0/24")
        (address_a,) = asyncio.run(network.attach(pod_a, "a"))
        (address_b,) = asyncio.run(network.attach(pod_b, "b"))
        assert (address_a, address_b) == ("10.244.7.2", "10.244.7.3")
        # Attaching again after a crash gives the same address and still works.
        assert asyncio.run(network.attach(pod_b, "b")) == [address_b]
    assert _asked(pod_a, pod_b, address_b) == address_a.encode()
    with netns.inside(node), route_socket() as route:
        asyncio.run(network.detach("a"))
        asyncio.run(network.detach("a"))
        assert interface_name("a") not in [link.name for link in route.links()]
        assert [r.destination for r in route.routes()] == [f"{address_b}/32"]


def _asked(client: Path, server: Path, address: str) -> bytes:
    """What a server in one namespace says who a client in another is."""
    with netns.inside(server):
        listener = socket.create_server((address, 8080))

    def answer() -> None:
        connection, peer = listener.accept()
        connection.sendall(peer[0].encode())
        connection.close()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    with netns.inside(client):
        connection = socket.create_connection((address, 8080), timeout=5)
    with connection, listener:
        return connection.recv(100)


def test_root_runs_these() -> None:
    assert os.geteuid() == 0
