"""Which Services have a number that is nobody's to give, or another's."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from tiphys.apiserver.service_addresses import Held
from tiphys.apiserver.service_repair import findings

NETWORKS = [IPv4Network("10.96.0.0/12"), IPv4Network("192.168.7.0/24")]
NODE_PORTS = (30000, 32767)


def held(address: str, *ports: int) -> Held:
    return Held((int(IPv4Address(address)),) if address else (), ports)


@pytest.mark.parametrize(
    ("services", "wanted"),
    [
        ({}, []),
        ({"d/a": held("10.96.0.9", 30001), "d/b": held("192.168.7.9", 30002)}, []),
        # Headless, and one with a port for TCP and UDP.
        ({"d/a": held(""), "d/b": held("10.96.0.9", 30001, 30001)}, []),
        (
            {"d/a": held("10.2.0.9", 80)},
            [
                "d/a ClusterIPOutOfRange Cluster IP [IPv4]: 10.2.0.9 is not within any configured"
                " Service CIDR; please recreate service",
                "d/a PortOutOfRange Port 80 is not within the port range 30000-32767;"
                " please recreate service",
            ],
        ),
        # The later one is told, in whatever order they are known.
        (
            {"d/b": held("10.96.0.9", 30001), "d/a": held("10.96.0.9", 30001)},
            [
                "d/b ClusterIPAlreadyAllocated Cluster IP [IPv4]: 10.96.0.9 was assigned to"
                " multiple services; please recreate service",
                "d/b PortAlreadyAllocated Port 30001 was assigned to multiple services;"
                " please recreate service",
            ],
        ),
    ],
)
def test_findings(services: dict[str, Held], wanted: list[str]) -> None:
    found = findings(services, NETWORKS, NODE_PORTS)
    assert [f"{f.key} {f.reason} {f.message}" for f in found] == wanted
