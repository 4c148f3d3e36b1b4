"""What facts of the network mean: one table per check."""

from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.cluster.netcheck import agent
from tiphys.cluster.netcheck.checks import (
    conntrack,
    dns,
    endpoints,
    links,
    mtu,
    reachability,
    routes,
    rules,
    sysctls,
)
from tiphys.cluster.netcheck.finding import NetFinding, explained
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.scene import World
from tiphys.cluster.netcheck.wanted_routes import Wanted, missing, of_node, route_command
from tiphys.cluster.processes import Process
from tiphys.cluster.profile import Node, Profile, Roots
from tiphys.dns.settings import STUB_DOMAINS, UPSTREAM_NAMESERVERS, SettingsError, Upstream
from tiphys.lib.netlink.route import Route
from tiphys.lib.process import ProcessIdentity
from tiphys.proxy.conntrack import Flow
from tiphys.proxy.plan import Frontend, Target

NODE = Place("n1", Path("/run/netns/tiphys-p-n1"), "192.168.49.2")
HOST = Place("host", None, "192.168.49.1")
INSIDE = "nsenter --net=/run/netns/tiphys-p-n1 "
PROCESS = Process("proxy", "n1", ProcessIdentity("boot", 7, 1), "tiphys: proxy [p/n1]", 0)
PROFILE = Profile(
    name="p",
    roots=Roots(Path("/state"), Path("/run")),
    api_port=6443,
    node_cidr="192.168.49.0/24",
    pod_cidr="10.244.0.0/16",
    service_cidr="10.96.0.0/16",
    load_balancer_pool="192.168.49.128/25",
    nodes=(Node("n1", "192.168.49.2"), Node("n2", "192.168.49.3")),
)


def finding(check: str, where: str, *touches: str) -> NetFinding:
    return NetFinding(check, where, f"{check} at {where}", "", "", touches=frozenset(touches))


def test_effects_are_told_with_their_cause() -> None:
    causes = [finding("links", "host", "n2"), finding("sysctls", "n3")]
    told = explained(causes, [finding("dns", "n2"), finding("reachability", "n1", "n3")])
    assert [(f.check, f.effects) for f in told] == [
        ("links", ("dns at n2",)),
        ("sysctls", ("reachability at n1",)),
    ]


def test_what_nothing_explains_is_a_finding() -> None:
    told = explained([finding("links", "n1")], [finding("dns", "n2")])
    assert [f.check for f in told] == ["links", "dns"]


@pytest.mark.parametrize(
    ("seen", "wrong"),
    [
        pytest.param("1", False, id="as-wanted"),
        pytest.param(None, False, id="no-such-setting"),
        pytest.param("0", True, id="changed"),
    ],
)
def test_sysctls(seen: str | None, wrong: bool) -> None:
    name = "net.ipv4.ip_forward"
    found = sysctls.judge(NODE, {name: "1"}, {name: seen})
    assert bool(found) is wrong
    if wrong:
        assert found[0].fix == f"{INSIDE}sysctl -w {name}=1"
        assert sysctls.WHY[name] in found[0].cause


def test_every_setting_has_a_reason() -> None:
    assert sysctls.WHY.keys() >= sysctls.ON_NODES.keys() | sysctls.ON_HOST.keys()


UP = {"flags": ["UP", "LOWER_UP"], "mtu": 1500}


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        pytest.param({"eth0": UP}, "", id="up"),
        pytest.param({"eth0": {"flags": []}}, "is down", id="down"),
        pytest.param({}, "is not there", id="gone"),
    ],
)
def test_links(seen: dict[str, Any], words: str) -> None:
    found = links.judge("p", NODE, [links.Wanted("eth0", "its link")], seen)
    assert bool(found) is bool(words)
    assert all(words in f.what for f in found)


LINK = IPv4Interface("192.168.49.2/24")


def api_node(name: str, address: str, cidr: str) -> Obj:
    addresses = [{"type": "InternalIP", "address": address}]
    return {
        "metadata": {"name": name},
        "spec": {"podCIDR": cidr},
        "status": {"addresses": addresses},
    }


NODES = [
    api_node("n1", "192.168.49.2", "10.244.0.0/24"),
    api_node("n2", "192.168.49.3", "10.244.1.0/24"),
]


@pytest.mark.parametrize(
    ("overlay", "gateway", "device"),
    [
        pytest.param("auto", "192.168.49.3", "", id="host-gw"),
        pytest.param("vxlan", "10.244.1.0", "tiphys.vxlan", id="vxlan"),
    ],
)
def test_routes_of_a_node(overlay: str, gateway: str, device: str) -> None:
    wanted = of_node(replace(PROFILE, overlay=overlay), NODES, "n1", LINK)
    told = {one.destination: (one.gateway, one.device) for one in wanted}
    assert told == {
        "default": ("192.168.49.1", ""),
        "10.96.0.0/16": ("", "lo"),
        "10.244.1.0/24": (gateway, device),
    }


DEVICES = {1: "lo", 2: "eth0"}
TO_PODS = Wanted("10.244.1.0/24", "192.168.49.3", "", "pods of n2", 84, "n2")


@pytest.mark.parametrize(
    ("have", "lacks"),
    [
        pytest.param([Route("10.244.1.0/24", "192.168.49.3", 2, 84)], False, id="there"),
        pytest.param([Route("10.244.1.0/24", "192.168.49.9", 2, 84)], True, id="elsewhere"),
        pytest.param([Route("10.244.2.0/24", "192.168.49.3", 2, 84)], True, id="gone"),
    ],
)
def test_missing_routes(have: list[Route], lacks: bool) -> None:
    assert bool(missing([TO_PODS], have, DEVICES)) is lacks


def test_any_node_may_be_the_way_to_services() -> None:
    wanted = Wanted("10.96.0.0/16", "~192.168.49.2", "", "Services")
    assert missing([wanted], [Route("10.96.0.0/16", "192.168.49.3", 2, 84)], DEVICES) == []


def test_routes_that_went_with_their_link_are_told_with_it() -> None:
    over = TO_PODS._replace(device="tiphys.vxlan")
    assert routes.goes_with(over, {"tiphys.vxlan"})
    assert not routes.goes_with(over, {"eth0"})
    assert routes.goes_with(TO_PODS, {"eth0"})
    assert not routes.goes_with(TO_PODS, set())


def test_a_lost_route_is_told_with_the_node_that_suffers() -> None:
    found = routes.judge(NODE, TO_PODS)
    assert found.fix == f"{INSIDE}ip route replace 10.244.1.0/24 via 192.168.49.3 proto 84"
    assert found.places == {"n1", "n2"}
    over = TO_PODS._replace(gateway="10.244.1.0", device="tiphys.vxlan")
    assert route_command(NODE, over).endswith("dev tiphys.vxlan onlink proto 84")


@pytest.mark.parametrize(
    ("seen", "names"),
    [
        pytest.param({"eth0": {"mtu": 1500}}, [], id="as-wanted"),
        pytest.param({"eth0": {"mtu": 9000}}, [], id="more"),
        pytest.param({"eth0": {"mtu": 1400}}, ["eth0"], id="less"),
        pytest.param(
            {"br": {"mtu": 1400}, "eth0": {"mtu": 1400, "master": "br"}}, ["eth0"], id="bridge"
        ),
        pytest.param({}, [], id="gone"),
    ],
)
def test_mtu_of_links(seen: dict[str, Any], names: list[str]) -> None:
    found = mtu.judge_links(NODE, {"eth0": 1500, "br": 1500}, seen, frozenset())
    assert [f.fix for f in found] == [f"{INSIDE}ip link set {n} mtu 1500" for n in names]


@pytest.mark.parametrize(
    ("size", "wrong"),
    [
        pytest.param(1500, False, id="whole"),
        pytest.param(None, False, id="nothing-arrives"),
        pytest.param(1400, True, id="shorter"),
    ],
)
def test_mtu_of_paths(size: int | None, wrong: bool) -> None:
    path = mtu.Path(NODE, "192.168.49.3", "n2", 1500, "from n1 to n2")
    found = mtu.judge_paths([(path, size)])
    assert bool(found) is wrong
    assert all("1400 bytes arrive, wanted 1500" in f.what for f in found)


@pytest.mark.parametrize(
    ("count", "limit", "told", "fatal"),
    [
        pytest.param(100, 1000, False, False, id="empty"),
        pytest.param(799, 1000, False, False, id="below"),
        pytest.param(800, 1000, True, False, id="filling"),
        pytest.param(1000, 1000, True, True, id="full"),
        pytest.param(5, 0, False, False, id="no-limit"),
    ],
)
def test_conntrack(count: int, limit: int, told: bool, fatal: bool) -> None:
    found = conntrack.judge(NODE, count, limit)
    assert bool(found) is told
    assert all(f.fatal is fatal for f in found)
    assert all(f.fix == "sysctl -w net.netfilter.nf_conntrack_max=2000" for f in found)


RIGHT = dns.Seen(("10.96.0.1",), 0.001, ("10.96.0.1",))


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        pytest.param(RIGHT, "", id="right"),
        pytest.param(dns.Seen(None), "does not answer", id="silent"),
        pytest.param(replace(RIGHT, addresses=()), "nowhere, wanted 10.96.0.1", id="empty"),
        pytest.param(replace(RIGHT, tcp_addresses=None), "over TCP", id="no-tcp"),
        pytest.param(replace(RIGHT, seconds=0.2), "takes 200 ms", id="slow"),
        pytest.param(
            replace(RIGHT, big_wanted=90, big_udp=29, big_is_cut=True, big_tcp=90), "", id="cut"
        ),
        pytest.param(
            replace(RIGHT, big_wanted=90, big_udp=29, big_tcp=90), "and not that", id="not-told"
        ),
        pytest.param(
            replace(RIGHT, big_wanted=90, big_udp=29, big_is_cut=True, big_tcp=29),
            "29 of 90 addresses over TCP",
            id="lost",
        ),
    ],
)
def test_dns(seen: dns.Seen, words: str) -> None:
    found = dns.judge(NODE, seen, "10.96.0.1", PROCESS, agent.RUNNING, "p")
    assert bool(found) is bool(words)
    assert all(words in f.what for f in found)


def test_the_biggest_headless_service() -> None:
    services: list[Obj] = [
        {"metadata": {"name": n, "namespace": "default"}, "spec": {"clusterIP": "None"}}
        for n in ("small", "big")
    ]
    slices: list[Obj] = [
        {
            "metadata": {
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [a]} for a in addresses],
        }
        for name, addresses in (("small", ["10.244.0.1"]), ("big", ["10.244.0.2", "10.244.0.3"]))
    ]
    assert dns.biggest(services, slices) == ("big.default.svc.cluster.local", 2)
    assert dns.biggest([], []) == ("", 0)


def test_a_silent_server_is_left_out_by_the_fix() -> None:
    data = {STUB_DOMAINS: '{"a.test": ["10.0.0.1", "10.0.0.2"]}', UPSTREAM_NAMESERVERS: "[]"}
    found = dns.judge_upstream("p", ["n1"], ("a.test", STUB_DOMAINS, Upstream("10.0.0.1")), data)
    assert "10.0.0.1, which is asked for a.test" in found.what
    assert '{\\"a.test\\": [\\"10.0.0.2\\"]}' in found.fix
    last = {UPSTREAM_NAMESERVERS: '["10.0.0.3:54"]'}
    asked = (".", UPSTREAM_NAMESERVERS, Upstream("10.0.0.3", 54))
    assert f'"{UPSTREAM_NAMESERVERS}": ""' in dns.judge_upstream("p", ["n1"], asked, last).fix


def test_a_wrong_config_map_loses_the_wrong_key_only() -> None:
    data = {STUB_DOMAINS: "{", UPSTREAM_NAMESERVERS: '["9.9.9.9"]'}
    found = dns.judge_config("p", SettingsError(f"{STUB_DOMAINS} is not JSON: x"), data)
    assert STUB_DOMAINS not in found.fix
    assert "9.9.9.9" in found.fix


@pytest.mark.parametrize(
    ("state", "cause", "fix"),
    [
        pytest.param(agent.STOPPED, "stopped by a signal", "kill -KILL 7", id="stopped"),
        pytest.param(agent.GONE, "does not run", "tiphys start -p p", id="gone"),
        pytest.param(agent.RUNNING, "otherwise", "kill -KILL 7", id="running"),
    ],
)
def test_agents(state: str, cause: str, fix: str) -> None:
    assert cause in agent.cause(PROCESS, state, "otherwise")
    assert agent.fix(PROCESS, state, "p") == fix
    assert agent.fix(None, agent.GONE, "p") == "tiphys start -p p"


def test_lines_of_iptables() -> None:
    planned = ["nat :KUBE-SERVICES - [0:0]", "nat -A KUBE-SERVICES -j A", "nat -A PREROUTING -j B"]
    seen = ["nat :KUBE-SERVICES - [7:420]", "nat -A KUBE-SERVICES -j A", "nat -A X -j KUBE-Y"]
    assert rules.compare_lines(planned, planned[:]) == []
    assert rules.compare_lines(planned, seen) == [
        "iptables lacks `nat -A PREROUTING -j B`",
        "iptables has `nat -A X -j KUBE-Y`, not ours",
    ]


def pod(name: str, address: str, *, ready: bool = True, phase: str = "Running") -> Obj:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    status = {"podIP": address, "phase": phase, "conditions": conditions}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {}, "status": status}


def a_slice(address: str, *, ready: bool = True, controller: bool = True) -> Obj:
    labels = {"kubernetes.io/service-name": "web"}
    if controller:
        labels["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io"
    return {
        "metadata": {"name": "web-x", "namespace": "default", "labels": labels},
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}}],
    }


PODS = [
    pod("good", "10.244.0.5"),
    pod("sick", "10.244.0.6", ready=False),
    pod("over", "10.244.0.7", phase="Failed"),
]


@pytest.mark.parametrize(
    ("one", "words"),
    [
        pytest.param(a_slice("10.244.0.5"), "", id="alive"),
        pytest.param(a_slice("10.244.0.6"), "sick, which is not ready", id="not-ready"),
        pytest.param(a_slice("10.244.0.6", ready=False), "", id="told-as-not-ready"),
        pytest.param(a_slice("10.244.0.7"), "over, which is over", id="over"),
        pytest.param(a_slice("10.244.0.9"), "is no pod's address", id="gone"),
        pytest.param(a_slice("192.0.2.9"), "", id="elsewhere"),
    ],
)
def test_dead_endpoints(one: Obj, words: str) -> None:
    found = endpoints.dead_endpoints(one, World(services=[], pods=PODS), "10.244.0.0/16")
    assert bool(found) is bool(words)
    assert all(words in text for text in found)


def test_published_not_ready_is_wanted() -> None:
    service = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"publishNotReadyAddresses": True},
    }
    world = World(services=[service], pods=PODS)
    assert endpoints.dead_endpoints(a_slice("10.244.0.6"), world, "10.244.0.0/16") == []


def test_slices_of_a_controller_that_stands_still_are_one_finding() -> None:
    wrong = [(a_slice("10.244.0.9"), ["a"]), (a_slice("10.244.0.8"), ["b"])]
    (found,) = endpoints.judge("p", wrong, PROCESS, agent.STOPPED)
    assert found.fix == "kill -KILL 7"
    assert found.what.count("EndpointSlice") == 2
    by_hand = [(a_slice("10.244.0.9", controller=False), ["a"])]
    (found,) = endpoints.judge("p", by_hand, PROCESS, agent.STOPPED)
    assert found.fix == "tiphys -p p kubectl delete endpointslice web-x -n default"


def test_flows_to_endpoints_that_are_gone() -> None:
    flow = Flow(Frontend("udp", "10.96.0.7", 53), Target("10.244.0.9", 53), b"", b"")
    (found,) = endpoints.judge_flows(NODE, [flow, flow], PROCESS, agent.RUNNING, "p")
    assert "2 of 10.96.0.7:53 to 10.244.0.9" in found.what
    assert endpoints.judge_flows(NODE, [], PROCESS, agent.RUNNING, "p") == []


LISTED = """table ip kube-proxy {
\tchain refuse-input {
\t\ttype filter hook input priority filter; policy accept;
\t\tmeta l4proto tcp reject with tcp reset
\t}
}
table inet strange {
\tset s {
\t}
\tchain a {
\t\ttype filter hook forward priority filter; policy drop;
\t}
\tchain b {
\t\tip saddr 10.0.0.1 drop
\t}
\tchain c {
\t\tip saddr 10.0.0.1 accept
\t}
}
table ip filter {
\tchain KUBE-SERVICES {
\t\tcounter packets 0 bytes 0 reject
\t}
}
"""


def test_chains_of_others_that_drop() -> None:
    assert reachability.dropping_chains(LISTED) == ["inet strange a", "inet strange b"]


def test_what_others_drop_is_one_finding() -> None:
    ways = [reachability.Way(HOST, f"10.244.0.{n}", 0, "n1", f"host to {n}") for n in (1, 2)]
    (found,) = reachability.judge([(way, "no answer", ["nft 'x'"]) for way in ways])
    assert (found.where, found.fix) == ("n1", "nft 'x'")
    assert found.places == {"n1", "host"}
    alone = reachability.judge([(way, "no answer", []) for way in ways])
    assert len(alone) == 2
