"""Which UDP flows must be forgotten, and reading them from the kernel's bytes."""

import socket
import struct

import pytest

from tiphys.lib.netlink.message import attribute, nested
from tiphys.proxy.conntrack import Flow, parse, stale
from tiphys.proxy.plan import Frontend, Target

WEB = Frontend("udp", "10.96.0.7", 53)
OLD, NEW = Target("10.0.0.1", 5353), Target("10.0.0.2", 5353)


@pytest.mark.parametrize(
    ("serving", "target", "found"),
    [
        pytest.param({WEB: (OLD, NEW)}, OLD, False, id="still-serving"),
        pytest.param({WEB: (NEW,)}, OLD, True, id="endpoint-gone"),
        pytest.param({WEB: (NEW,)}, Target(WEB.address, WEB.port), True, id="was-never-translated"),
        pytest.param({WEB: ()}, OLD, False, id="nobody-serves"),
        pytest.param({}, OLD, False, id="no-service"),
    ],
)
def test_stale(serving: dict[Frontend, tuple[Target, ...]], target: Target, found: bool) -> None:
    flow = Flow(WEB, target, b"", b"")
    assert stale([flow], serving) == ([flow] if found else [])


def a_tuple(kind: int, source: Target, destination: Target, protocol: int) -> bytes:
    addresses = [
        attribute(1, socket.inet_aton(source.address)),
        attribute(2, socket.inet_aton(destination.address)),
    ]
    ports = [
        attribute(1, bytes([protocol])),
        attribute(2, struct.pack(">H", source.port)),
        attribute(3, struct.pack(">H", destination.port)),
    ]
    return nested(kind, nested(1, *addresses), nested(2, *ports))


@pytest.mark.parametrize("protocol", [socket.IPPROTO_UDP, socket.IPPROTO_TCP])
def test_parse(protocol: int) -> None:
    client, service = Target("10.0.0.9", 40000), Target("10.96.0.7", 53)
    payload = bytes(4) + a_tuple(1, client, service, protocol) + a_tuple(2, OLD, client, protocol)
    found = parse(payload + attribute(12, b"\0\0\0\7"))
    if protocol == socket.IPPROTO_TCP:
        assert found is None
    else:
        assert found is not None
        assert (found.frontend, found.target, found.number) == (WEB, OLD, b"\0\0\0\7")
