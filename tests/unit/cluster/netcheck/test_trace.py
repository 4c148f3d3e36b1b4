"""The hops of a trace, each judged from its facts."""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.scene import World
from tiphys.cluster.netcheck.trace import names, policy_hops, route_hops, service_hops, socket_hop
from tiphys.cluster.netcheck.trace.ends import EndError, Source, Target, source, target
from tiphys.cluster.netcheck.trace.goal import port_of_pod, port_of_service
from tiphys.cluster.netcheck.trace.hop import Hop, first_failing
from tiphys.cluster.netcheck.trace.policy_hops import Packet
from tiphys.cluster.netcheck.trace.socket_hop import Listener
from tiphys.cluster.netcheck.trace.start import pod_of_deployment
from tiphys.kubelet.dns import Resolver
from tiphys.proxy.plan import Frontend, NodeView, plan
from tiphys.proxy.plan import Target as Endpoint

NODE = Place("n1", None, "192.168.49.2")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("pod/web", Source("pod", "default", "web"), id="pod"),
        pytest.param("deploy/web", Source("deployment", "default", "web"), id="deployment"),
        pytest.param("node/n1", Source("node", "default", "n1"), id="node"),
        pytest.param("other/web", Source("pod", "other", "web"), id="namespace"),
    ],
)
def test_starts(text: str, wanted: Source) -> None:
    assert source(text, "default") == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("svc/web", Target("service", "default", "web"), id="service"),
        pytest.param("svc/web.other:http", Target("service", "other", "web", "http"), id="named"),
        pytest.param("pod/web:80", Target("pod", "default", "web", "80"), id="pod"),
        pytest.param("10.0.0.1:53", Target("address", "", "10.0.0.1", "53"), id="address"),
        pytest.param("web.other", Target("name", "", "web.other"), id="name"),
        pytest.param("http://web/x", Target("name", "", "web", "80"), id="url"),
        pytest.param("https://10.0.0.1/", Target("address", "", "10.0.0.1", "443"), id="https"),
        pytest.param("tcp://web:81", Target("name", "", "web", "81"), id="port-of-url"),
    ],
)
def test_ends(text: str, wanted: Target) -> None:
    assert target(text, "default") == wanted


@pytest.mark.parametrize("text", ["", "web", "pod/", "/web"])
def test_no_start(text: str) -> None:
    with pytest.raises(EndError):
        source(text, "default")


@pytest.mark.parametrize("text", ["", "cm/web", "svc/a/b", "10.0.0.1:70000", "ftp://web"])
def test_no_end(text: str) -> None:
    with pytest.raises(EndError):
        target(text, "default")


PODS_RESOLVER = Resolver(
    ("10.96.0.10",), ("default.svc.cluster.local", "cluster.local"), ("ndots:5",)
)


@pytest.mark.parametrize(
    ("name", "resolver", "asked"),
    [
        pytest.param(
            "web",
            PODS_RESOLVER,
            ["web.default.svc.cluster.local", "web.cluster.local", "web"],
            id="short",
        ),
        pytest.param("web.", PODS_RESOLVER, ["web"], id="whole"),
        pytest.param(
            "a.b", Resolver(("9.9.9.9",), ("corp",)), ["a.b", "a.b.corp"], id="enough-dots"
        ),
    ],
)
def test_names_that_are_asked(name: str, resolver: Resolver, asked: list[str]) -> None:
    assert names.candidates(name, resolver) == asked


def service(name: str, address: str, **spec: Any) -> Obj:
    port = {"port": 80, "targetPort": 8080, "protocol": "TCP"}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": address, "ports": [port], **spec},
    }


def a_slice(name: str, *addresses: str, node: str = "n1") -> Obj:
    return {
        "metadata": {
            "name": f"{name}-x",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [{"port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [a], "conditions": {"ready": True}, "nodeName": node} for a in addresses
        ],
    }


SERVICES = [
    service("web", "10.96.0.7"),
    service("none", "10.96.0.8"),
    service("near", "10.96.0.9", internalTrafficPolicy="Local"),
    service("kept", "10.96.0.11", sessionAffinity="ClientIP"),
]
SLICES = [
    a_slice("web", "10.244.0.5", "10.244.1.5"),
    a_slice("near", "10.244.1.6", node="n2"),
    a_slice("kept", "10.244.0.5"),
]
FRONTENDS = plan(SERVICES, SLICES, NodeView("n1", ("192.168.49.2",))).frontends


@pytest.mark.parametrize(
    ("address", "port", "ok", "words"),
    [
        pytest.param(
            "10.96.0.7", 80, True, "10.244.0.5:8080, 10.244.1.5:8080, by chance", id="two"
        ),
        pytest.param("10.96.0.8", 80, False, "refused: no ready endpoint", id="none"),
        pytest.param("10.96.0.9", 80, False, "dropped: no endpoint on this node", id="local"),
        pytest.param("10.96.0.11", 80, True, "is with for 10800 s", id="affinity"),
        pytest.param("10.96.0.7", 81, False, "it has 80/tcp; refused", id="port"),
        pytest.param("10.96.0.99", 80, False, "no Service has this address", id="nobody"),
    ],
)
def test_services(address: str, port: int, ok: bool, words: str) -> None:
    frontend = Frontend("tcp", address, port)
    found = service_hops.hop(NODE, frontend, FRONTENDS, SERVICES, "10.96.0.0/16", "nftables")
    assert found is not None
    assert found.ok is ok
    assert words in found.what


def test_other_addresses_are_no_services() -> None:
    frontend = Frontend("tcp", "10.244.0.5", 8080)
    found = service_hops.hop(NODE, frontend, FRONTENDS, SERVICES, "10.96.0.0/16", "nftables")
    assert found is None


@pytest.mark.parametrize(
    ("start", "mode", "masqueraded"),
    [
        pytest.param("10.244.3.3", "nftables", [False, False], id="a-pod"),
        pytest.param("10.244.0.5", "nftables", [True, False], id="itself"),
        pytest.param("192.168.49.2", "nftables", [True, True], id="a-node"),
        pytest.param("10.244.3.3", "userspace", [True, True], id="by-a-process"),
    ],
)
def test_who_is_seen_as_whom(start: str, mode: str, masqueraded: list[bool]) -> None:
    frontend = Frontend("tcp", "10.96.0.7", 80)
    backend = FRONTENDS[frontend]
    found = service_hops.ways(frontend, backend, start, "10.244.0.0/16", mode)
    assert [way.masqueraded for way in found] == masqueraded
    assert [way.target for way in found] == [
        Endpoint("10.244.0.5", 8080),
        Endpoint("10.244.1.5", 8080),
    ]


def pod(name: str, address: str, **labels: str) -> Obj:
    return {
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"nodeName": "n1", "containers": [{"name": "c"}]},
        "status": {"podIP": address, "phase": "Running"},
    }


WEB, FRIEND, STRANGER = (
    pod("web", "10.244.0.5", app="web"),
    pod("friend", "10.244.0.6", app="friend"),
    pod("stranger", "10.244.0.7"),
)


def policy(name: str, **spec: Any) -> Obj:
    selector = {"matchLabels": {"app": "web"}}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"podSelector": selector, **spec},
    }


CLOSED = policy("closed", policyTypes=["Ingress"])
FRIENDS = policy(
    "friends",
    ingress=[
        {
            "from": [{"podSelector": {"matchLabels": {"app": "friend"}}}],
            "ports": [{"port": 8080}],
        }
    ],
)


@pytest.mark.parametrize(
    ("policies", "sender", "port", "ok", "words"),
    [
        pytest.param([], "10.244.0.7", 8080, True, "no policy selects default/web", id="none"),
        pytest.param([CLOSED], "10.244.0.6", 8080, False, "default/closed selects", id="closed"),
        pytest.param([CLOSED, FRIENDS], "10.244.0.6", 8080, True, "default/friends lets", id="one"),
        pytest.param([CLOSED, FRIENDS], "10.244.0.7", 8080, False, "10.244.0.7", id="stranger"),
        pytest.param([FRIENDS], "10.244.0.6", 81, False, "tcp port 81", id="port"),
    ],
)
def test_policies(policies: list[Obj], sender: str, port: int, ok: bool, words: str) -> None:
    packet = Packet(sender, "10.244.0.5", port, "tcp")
    pods = [WEB, FRIEND, STRANGER]
    found = policy_hops.verdict(policies, pods, {"default": {}}, WEB, "ingress", packet)
    hop = policy_hops.hop(found, "ingress", "n1", WEB, packet)
    assert hop.ok is ok is found.passes
    assert words in hop.what


UP = {"veth1": {"flags": ["UP", "LOWER_UP"], "mtu": 1450}}


@pytest.mark.parametrize(
    ("seen", "links", "ok", "words"),
    [
        pytest.param({"dev": "veth1"}, UP, True, "over veth1, MTU 1450", id="way"),
        pytest.param({"dev": "veth1", "gateway": "10.0.0.1"}, UP, True, "via 10.0.0.1", id="via"),
        pytest.param({"type": "local", "dev": "lo"}, UP, True, "is here", id="here"),
        pytest.param({"dev": "veth1"}, {"veth1": {"flags": []}}, False, "is down", id="down"),
        pytest.param(
            {"dev": "veth1"}, {"veth1": {"flags": ["UP"]}}, False, "other end", id="other-end"
        ),
        pytest.param("Network is unreachable", {}, False, "no way to", id="no-way"),
    ],
)
def test_routes(seen: dict[str, Any] | str, links: dict[str, Any], ok: bool, words: str) -> None:
    found = route_hops.hop(NODE, "10.244.0.5", seen, links)
    assert found.ok is ok
    assert words in found.what


TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 0100007F:2710 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   2: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0
"""
LISTENERS = [Listener("0.0.0.0", 8080), Listener("127.0.0.1", 10000)]


def test_listeners() -> None:
    assert list(socket_hop.parse(TCP, "tcp")) == LISTENERS
    six = TCP.replace("00000000:1F90", f"{'0' * 32}:1F90", 1)
    assert next(iter(socket_hop.parse(six, "tcp"))) == Listener("::", 8080)


@pytest.mark.parametrize(
    ("port", "ok", "words"),
    [
        pytest.param(8080, True, "somebody listens", id="any-address"),
        pytest.param(10000, False, "127.0.0.1 only", id="loopback-only"),
        pytest.param(9999, False, "there are 10000, 8080: refused", id="nobody"),
    ],
)
def test_sockets(port: int, ok: bool, words: str) -> None:
    found = socket_hop.hop("pod", "10.244.0.5", port, "tcp", LISTENERS)
    assert found.ok is ok
    assert words in found.what


def test_the_first_that_fails() -> None:
    hops = [Hop("a", "x", True, ""), Hop("b", "x", False, ""), Hop("c", "x", False, "")]
    assert first_failing(hops) == hops[1]
    assert first_failing(hops[:1]) is None


def test_ports_by_name() -> None:
    ports = [
        {"name": "http", "port": 80, "protocol": "TCP"},
        {"name": "dns", "port": 53, "protocol": "UDP"},
    ]
    found = service("web", "10.96.0.7", ports=ports)
    assert port_of_service(found, "", "tcp") == 80
    assert port_of_service(found, "", "udp") == 53
    assert port_of_service(found, "http", "tcp") == 80
    assert port_of_service(found, "81", "tcp") == 81
    with pytest.raises(EndError, match="there are http, dns"):
        port_of_service(found, "https", "tcp")


def test_ports_of_pods() -> None:
    container = {"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}
    named: Obj = {"metadata": {"name": "web"}, "spec": {"containers": [container]}}
    assert port_of_pod(named, "http") == port_of_pod(named, "") == 8080
    with pytest.raises(EndError, match="use pod/NAME:PORT"):
        port_of_pod(WEB, "")


def test_the_pod_of_a_deployment() -> None:
    deployment: Obj = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
    }
    assert pod_of_deployment(World(pods=[FRIEND, WEB]), deployment) is WEB
    with pytest.raises(EndError, match="has no running pod"):
        pod_of_deployment(World(pods=[FRIEND]), deployment)


def test_the_element_that_nft_prints() -> None:
    told = "table ip kube-proxy {\n\tmap services {\n\t\ttype x : verdict\n"
    told += "\t\telements = { tcp . 10.96.0.7 . 80 : goto service-2 }\n\t}\n}\n"
    assert service_hops.element(told) == "tcp . 10.96.0.7 . 80 : goto service-2"


def test_local_policies_are_for_those_outside() -> None:
    ports = [{"port": 80, "targetPort": 8080, "protocol": "TCP", "nodePort": 30080}]
    spec = {"type": "NodePort", "externalTrafficPolicy": "Local", "ports": ports}
    found = plan([service("near", "10.96.0.9", **spec)], SLICES, NodeView("n1", ("192.168.49.2",)))
    backend = found.frontends[Frontend("tcp", "192.168.49.2", 30080)]
    assert service_hops.targets_of(backend, near=True) == (Endpoint("10.244.1.6", 8080),)
    assert service_hops.targets_of(backend, near=False) == ()
