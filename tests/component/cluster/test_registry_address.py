"""The registry listens inside the nodes and nowhere else, whoever has its port outside."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiphys.cluster.node_components import REGISTRY_ADDRESS, REGISTRY_PORT
from tiphys.lib.netlink import netns
from tiphys.lib.netlink.route import route_socket
from tiphys.runtime.images.registry_run import RegistryConfig, listening

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]
WHERE = (REGISTRY_ADDRESS, REGISTRY_PORT)


@pytest.fixture
def nodes() -> Iterator[tuple[Path, ...]]:
    paths = tuple(Path(f"/run/netns/registry-{os.getpid()}-{n}") for n in range(2))
    for path in paths:
        netns.create(path)
        with netns.inside(path), route_socket() as route:
            route.set_up("lo")
    yield paths
    for path in paths:
        netns.delete(path)


def test_each_node_has_it_on_its_own_loopback(nodes: tuple[Path, ...], tmp_path: Path) -> None:
    config = RegistryConfig(str(tmp_path), *WHERE, network_namespaces=nodes)
    with socket.create_server(("", REGISTRY_PORT)):  # The port is somebody else's outside.
        sockets = listening(config)
    try:
        for path in nodes:
            with netns.inside(path):
                socket.create_connection(WHERE, timeout=5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(WHERE, timeout=5)
    finally:
        for one in sockets:
            one.close()
