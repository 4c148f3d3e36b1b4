"""What another mode would change, by the plans alone."""

from ipaddress import IPv4Interface

from tiphys.cluster.netcheck.diff import overlay, proxy_mode
from tiphys.cluster.netcheck.diff.change import ADD, REMOVE, REPLACE, Change, counted
from tiphys.network.plan import Overlay, Peer, plan
from tiphys.proxy.plan import Backend, Frontend, Kind

LINK = IPv4Interface("192.168.49.2/24")
PEERS = [Peer("n2", "192.168.49.3", "10.244.1.0/24")]


def test_lines_that_go_and_come() -> None:
    before, after = [("rule", "a"), ("rule", "b")], [("rule", "b"), ("element", "c")]
    assert proxy_mode.compare("n1", before, after) == [
        Change("n1", REMOVE, "rule", "a"),
        Change("n1", ADD, "element", "c"),
    ]
    assert proxy_mode.compare("n1", before, before) == []


def test_an_overlay_replaces_routes_and_adds_its_link() -> None:
    before = plan(PEERS, "10.244.0.0/24", LINK, Overlay.HOST_GW)
    after = plan(PEERS, "10.244.0.0/24", LINK, Overlay.VXLAN)
    there = {(c.action, c.kind) for c in overlay.compare("n1", before, after)}
    assert there == {(ADD, "link"), (REPLACE, "route"), (ADD, "neighbour"), (ADD, "forwarding")}
    back = {(c.action, c.kind) for c in overlay.compare("n1", after, before)}
    assert back == {
        (REMOVE, "link"),
        (REPLACE, "route"),
        (REMOVE, "neighbour"),
        (REMOVE, "forwarding"),
    }
    assert overlay.compare("n1", after, after) == []


def test_nodes_on_one_link_need_no_overlay() -> None:
    before = plan(PEERS, "10.244.0.0/24", LINK, Overlay.AUTO)
    after = plan(PEERS, "10.244.0.0/24", LINK, Overlay.HOST_GW)
    assert overlay.compare("n1", before, after) == []


def test_sockets_of_the_userspace_mode() -> None:
    wanted = {
        Frontend("udp", "10.96.0.7", 53): Backend(Kind.CLUSTER, "default/dns:", ()),
        Frontend("tcp", "10.96.0.7", 80): Backend(Kind.CLUSTER, "default/web:", ()),
    }
    found = proxy_mode.sockets("n1", wanted, "nftables", "userspace")
    assert [c.action for c in found] == [ADD, ADD]
    assert [c.action for c in proxy_mode.sockets("n1", wanted, "userspace", "iptables")] == [
        REMOVE,
        REMOVE,
    ]
    assert proxy_mode.sockets("n1", wanted, "nftables", "iptables") == []


def test_what_becomes_of_connections() -> None:
    assert proxy_mode.connections("nftables", "nftables") == ()
    assert proxy_mode.connections("nftables", "iptables")[0] == proxy_mode.STOPPED
    assert "see the node" in proxy_mode.connections("iptables", "userspace")[-1]
    assert "clients' own" in proxy_mode.connections("userspace", "nftables")[-1]


def test_counts() -> None:
    changes = [Change("n1", ADD, "rule", "a"), Change("n1", ADD, "rule", "b")]
    assert counted(changes) == [("n1", ADD, "rule", 2)]
