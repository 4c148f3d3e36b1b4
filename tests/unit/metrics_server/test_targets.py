"""Where Prometheus finds what runs on each node."""

import pytest

from tiphys.api.meta import Obj
from tiphys.metrics_server.targets import targets


def node(name: str, address: str = "") -> Obj:
    addresses = [{"type": "InternalIP", "address": address}] if address else []
    return {"metadata": {"name": name}, "status": {"addresses": addresses}}


@pytest.mark.parametrize(
    ("port", "address"), [("9153", "10.0.0.1:9153"), ("kubelet", "10.0.0.1:10250")]
)
def test_each_node_with_an_address(port: str, address: str) -> None:
    found = targets([node("a", "10.0.0.1"), node("b")], port)
    assert found == [{"targets": [address], "labels": {"node": "a"}}]


@pytest.mark.parametrize("port", ["", "0", "65536", "x", "1/2"])
def test_a_port_that_is_none(port: str) -> None:
    assert targets([node("a", "10.0.0.1")], port) is None
