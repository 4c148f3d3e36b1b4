"""`tiphys net`: each thing is broken on purpose; the doctor names it and nothing else, and the fix
that it prints mends it. The trace names the hop that fails, the diff changes nothing."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import ANY

import pytest

from e2e.clusters import Cluster, until
from support.dns_upstream import Upstream

WEB = "mkdir -p /w; hostname > /w/index.html; exec httpd -f -p 8080 -h /w"


@dataclass
class Lab:
    """A cluster of two nodes with a pod on each, and a name server on the host."""

    cluster: Cluster
    first: str
    second: str
    gateway: str
    upstream_port: int

    def net(self, *words: str) -> tuple[int, Any]:
        done = self.cluster.tiphys("net", *words, "-o", "json", check=False)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def findings(self) -> list[dict[str, Any]]:
        code, told = self.net("doctor")
        assert not told["failed"]
        assert code == int(bool(told["findings"]))
        found: list[dict[str, Any]] = told["findings"]
        return found

    def on(self, node: str, command: str) -> str:
        """A command in a node's network."""
        return shell(f"nsenter --net=/run/netns/tiphys-{self.cluster.name}-{node} {command}")

    def stop(self, component: str, node: str = "") -> None:
        (pid,) = [
            p["pid"]
            for p in self.cluster.status()["processes"]
            if (p["component"], p["node"]) == (component, node)
        ]
        os.kill(pid, signal.SIGSTOP)

    def configure_dns(self, **data: Any) -> None:
        texts = {key: one if isinstance(one, str) else json.dumps(one) for key, one in data.items()}
        document = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "data": {"upstreamNameservers": json.dumps([self.upstream]), **texts},
        }
        self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(document))

    @property
    def upstream(self) -> str:
        return f"{self.gateway}:{self.upstream_port}"

    def pod(self, node: str) -> Any:
        pods = self.cluster.running_pods("app=web")
        return next(p for p in pods if p["spec"]["nodeName"] == node)


def shell(command: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, env=env, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def apply(cluster: Cluster, *objects: dict[str, Any]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(listed))


def daemon_set() -> dict[str, Any]:
    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", WEB]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template},
    }


def service(name: str, port: int, app: str = "web") -> dict[str, Any]:
    spec = {"selector": {"app": app}, "ports": [{"port": 80, "targetPort": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def upstream_on(host: str) -> tuple[int, Callable[[], None]]:
    """A name server in a thread: its port, and how to end it."""
    loop = asyncio.new_event_loop()
    upstream = Upstream("192.0.2.1", host=host)
    loop.run_until_complete(upstream.start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def end() -> None:
        loop.call_soon_threadsafe(upstream.stop)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    return upstream.port, end


@contextmanager
def made(mode: str) -> Iterator[Lab]:
    assert os.geteuid() == 0, "clusters with nodes need root"
    cluster = Cluster(f"n{mode[0]}{os.getpid() % 10000}")
    with ExitStack() as stack:
        stack.callback(cluster.delete)
        cluster.start("--nodes", "2", "--proxy-mode", mode)
        nodes = cluster.status()["nodes"]
        gateway = f"{nodes[0]['address'].rpartition('.')[0]}.1"
        port, end = upstream_on(gateway)
        stack.callback(end)
        found = Lab(cluster, nodes[0]["name"], nodes[1]["name"], gateway, port)
        found.configure_dns()
        apply(cluster, daemon_set(), service("web", 8080), service("wrong", 9999))
        apply(cluster, service("none", 8080, app="nobody"))
        until(lambda: len(cluster.running_pods("app=web")) == 2, what="a pod on each node")
        until(lambda: not found.findings(), what="a network without findings")
        yield found


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with made("nftables") as found:
        yield found


@pytest.fixture(scope="module", params=["iptables", "userspace"])
def other_mode(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with made(request.param) as found:
        yield found


def forward_off(lab: Lab) -> None:
    lab.on(lab.second, "sysctl -qw net.ipv4.ip_forward=0")


def strict_filter(lab: Lab) -> None:
    lab.on(lab.first, "sysctl -qw net.ipv4.conf.all.rp_filter=1")


def short_packets(lab: Lab) -> None:
    lab.on(lab.second, "ip link set eth0 mtu 1400")


def host_link_down(lab: Lab) -> None:
    address = next(n["address"] for n in lab.cluster.status()["nodes"] if n["name"] == lab.second)
    bridge = shell(f"ip -o route get {address}").split(" dev ")[1].split()[0]
    shell(f"ip link set {bridge.removesuffix('br')}n{address.rpartition('.')[2]} down")


def node_link_down(lab: Lab) -> None:
    lab.on(lab.second, "ip link set eth0 down")


def no_default_route(lab: Lab) -> None:
    lab.on(lab.first, "ip route del default")


def rules_gone(lab: Lab) -> None:
    lab.stop("proxy", lab.second)
    if "kube-proxy" in lab.on(lab.second, "nft list tables"):
        lab.on(lab.second, "nft flush chain ip kube-proxy nat-prerouting")
    else:
        lab.on(lab.second, "iptables -t nat -D PREROUTING -j KUBE-SERVICES")


def proxy_stopped(lab: Lab) -> None:
    lab.stop("proxy", lab.first)


def host_rules_gone(lab: Lab) -> None:
    shell(f"nft delete table ip tiphys-{lab.cluster.name}")


def dns_stopped(lab: Lab) -> None:
    lab.stop("dns", lab.second)


def stub_without_server(lab: Lab) -> None:
    lab.configure_dns(stubDomains={"acme.test": [f"{lab.gateway}:9"], "corp.test": [lab.upstream]})


def stub_misspelt(lab: Lab) -> None:
    lab.configure_dns(stubDomains="{acme.test: 10.1.2.3}")


def endpoint_of_nobody(lab: Lab) -> None:
    pod = lab.pod(lab.first)["status"]["podIP"]
    ghost = f"{pod.rpartition('.')[0]}.250"
    alone = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ghost"}}
    sliced = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "ghost-1", "labels": {"kubernetes.io/service-name": "ghost"}},
        "addressType": "IPv4",
        "ports": [{"port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": [ghost], "conditions": {"ready": True}}],
    }
    apply(lab.cluster, {**alone, "spec": {"ports": [{"port": 80}]}}, sliced)


def controllers_stopped(lab: Lab) -> None:
    lab.stop("controllers")
    name = lab.pod(lab.second)["metadata"]["name"]
    lab.cluster.kubectl("delete", "pod", name, "--force", "--grace-period=0")


def many_connections(lab: Lab) -> None:
    lab.on(lab.first, "sysctl -qw net.netfilter.nf_conntrack_udp_timeout=10")
    limit = int(lab.on(lab.first, "cat /proc/sys/net/netfilter/nf_conntrack_max"))
    script = f"""import socket
found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range({limit * 17 // 20}):
    found.sendto(b'', (f'127.1.{{n >> 8 & 255}}.{{n & 255}}', 1 + (n >> 16)))"""
    lab.on(lab.first, f'{sys.executable} -c "{script}"')


def foreign_firewall(lab: Lab) -> None:
    hook = "{ type filter hook forward priority 0; policy drop; }"
    lab.on(lab.second, f"nft 'add table ip foreign; add chain ip foreign f {hook}'")


BROKEN = [
    pytest.param(forward_off, "sysctls", "second", "net.ipv4.ip_forward is 0", id="ip-forward"),
    pytest.param(strict_filter, "sysctls", "first", "all.rp_filter is 1", id="rp-filter"),
    pytest.param(short_packets, "mtu", "second", "eth0 takes packets of 1400", id="mtu"),
    pytest.param(host_link_down, "links", "host", "is down", id="link-of-the-host"),
    pytest.param(node_link_down, "links", "second", "eth0", id="link-of-a-node"),
    pytest.param(no_default_route, "routes", "first", "no route to default", id="route"),
    pytest.param(rules_gone, "rules", "second", "lacks", id="rule"),
    pytest.param(proxy_stopped, "rules", "first", "nobody keeps the rules", id="proxy-stopped"),
    pytest.param(host_rules_gone, "rules", "host", "is missing", id="host-table"),
    pytest.param(dns_stopped, "dns", "second", "does not answer", id="dns-stopped"),
    pytest.param(stub_without_server, "dns", "both", "asked for acme.test", id="stub-domain"),
    pytest.param(stub_misspelt, "dns", "host", "not JSON", id="config-map"),
    pytest.param(endpoint_of_nobody, "endpoints", "host", "is no pod's address", id="stale-slice"),
    pytest.param(controllers_stopped, "endpoints", "host", "web-", id="stale-endpoint"),
    pytest.param(many_connections, "conntrack", "first", "in the kernel's table", id="conntrack"),
    pytest.param(foreign_firewall, "reachability", "second", "no packets", id="firewall"),
]


@pytest.fixture
def conntrack_limit(lab: Lab) -> Iterator[None]:
    """It is the machine's, and one fix raises it."""
    name = "net.netfilter.nf_conntrack_max"
    before = shell(f"sysctl -n {name}").strip()
    yield
    shell(f"sysctl -qw {name}={before}")
    until(lambda: not lab.findings(), what="connections are forgotten")


@pytest.mark.usefixtures("conntrack_limit")
@pytest.mark.parametrize(("spoil", "check", "where", "words"), BROKEN)
def test_the_doctor_names_exactly_what_is_broken_and_its_fix_mends_it(
    lab: Lab, spoil: Callable[[Lab], None], check: str, where: str, words: str
) -> None:
    name_and_mend(lab, spoil, check, where, words)


@pytest.mark.parametrize(
    ("spoil", "where", "words"),
    [
        pytest.param(rules_gone, "second", "lacks", id="rule"),
        pytest.param(proxy_stopped, "first", "nobody keeps the rules", id="proxy-stopped"),
    ],
)
def test_rules_are_compared_in_every_mode(
    other_mode: Lab, spoil: Callable[[Lab], None], where: str, words: str
) -> None:
    name_and_mend(other_mode, spoil, "rules", where, words)


def name_and_mend(
    lab: Lab, spoil: Callable[[Lab], None], check: str, where: str, words: str
) -> None:
    both = f"{lab.first}, {lab.second}"
    place = {"first": lab.first, "second": lab.second, "both": both}.get(where, where)
    spoil(lab)
    found = lab.findings()
    assert [(f["check"], f["where"]) for f in found] == [(check, place)], found
    assert words in found[0]["what"]
    assert found[0]["cause"]
    tools = f"{os.path.dirname(sys.executable)}:{lab.cluster.env['PATH']}"
    shell(found[0]["fix"], {**lab.cluster.env, "PATH": tools})
    until(lambda: not lab.findings(), what=f"mended by {found[0]['fix']}")


def test_one_check_alone_and_their_names(lab: Lab) -> None:
    code, told = lab.net("doctor", "--check", "sysctls")
    assert (code, told["checks"]) == (0, ["sysctls"])
    listed = lab.cluster.tiphys("net", "doctor", "--list").stdout
    assert all(name in listed for name in ("sysctls", "mtu", "rules", "conntrack", "dns"))
    wrong = lab.cluster.tiphys("net", "doctor", "--check", "weather", check=False)
    assert wrong.returncode == 13
    assert "checks: sysctls" in wrong.stderr


def trace(lab: Lab, to: str, start: str = "") -> tuple[int, Any]:
    start = start or f"pod/{lab.pod(lab.second)['metadata']['name']}"
    return lab.net("trace", start, to)


def test_a_trace_tells_every_hop(lab: Lab) -> None:
    every_hop(lab)
    assert trace(lab, "http://web/", f"node/{lab.first}")[1]["fails"]["name"] == "name"
    assert trace(lab, "svc/web", f"node/{lab.first}")[0] == 0


def test_a_trace_follows_a_node_port_of_another_node(lab: Lab) -> None:
    name = "outside"
    spec = {"type": "NodePort", **service(name, 8080)["spec"]}
    apply(lab.cluster, {**service(name, 8080), "spec": spec})
    port = lab.cluster.get("service", name)["spec"]["ports"][0]["nodePort"]
    address = next(n["address"] for n in lab.cluster.status()["nodes"] if n["name"] == lab.first)
    until(lambda: trace(lab, f"{address}:{port}")[0] == 0, what="the node port's rules")
    hops = trace(lab, f"{address}:{port}")[1]["hops"]
    assert [h["where"] for h in hops if h["name"] == "service"] == [lab.first]


def test_a_trace_follows_every_mode(other_mode: Lab) -> None:
    every_hop(other_mode)
    assert trace(other_mode, "svc/none")[1]["fails"]["name"] == "service"


def every_hop(lab: Lab) -> None:
    code, told = trace(lab, "svc/web")
    assert (code, told["fails"]) == (0, None)
    names = [hop["name"] for hop in told["hops"]]
    assert names[:3] == ["start", "name", "service"]
    assert {"rule", "route", "ingress policy", "socket", "connection"} <= set(names)
    ways = {hop["way"] for hop in told["hops"]} - {""}
    pods = {lab.pod(node)["status"]["podIP"] for node in (lab.first, lab.second)}
    assert ways == {f"{address}:8080" for address in pods}


POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "closed"},
    "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]},
}


@pytest.mark.parametrize(
    ("to", "hop", "words"),
    [
        pytest.param("svc/none", "service", "no ready endpoint", id="no-endpoint"),
        pytest.param("svc/web:81", "service", "it has 80/tcp", id="no-such-port"),
        pytest.param("svc/wrong", "socket", "nobody listens at tcp port 9999", id="target-port"),
        pytest.param("nosuch.default.svc.cluster.local", "name", "no such name", id="name"),
    ],
)
def test_a_trace_names_the_hop_that_fails(lab: Lab, to: str, hop: str, words: str) -> None:
    code, told = trace(lab, to)
    assert code == 1
    assert told["fails"]["name"] == hop
    assert words in told["fails"]["what"]


def test_a_trace_names_the_policy_that_drops(lab: Lab) -> None:
    apply(lab.cluster, POLICY)
    try:
        first = lab.pod(lab.first)["metadata"]["name"]
        until(lambda: trace(lab, f"pod/{first}:8080")[1]["hops"][-1]["ok"] is False)
        code, told = trace(lab, f"pod/{first}:8080")
        assert (code, told["fails"]["name"]) == (1, "ingress policy")
        assert told["fails"]["where"] == lab.first
        assert "default/closed" in told["fails"]["what"]
        assert not lab.findings(), "a policy is no fault"
    finally:
        lab.cluster.kubectl("delete", "networkpolicy", "closed")


def test_a_trace_sees_what_is_broken_on_the_way(lab: Lab) -> None:
    first = lab.pod(lab.first)
    to = f"{first['status']['podIP']}:8080"
    lab.on(lab.first, "sysctl -qw net.ipv4.ip_forward=0")
    try:
        _, told = trace(lab, to)
        assert (told["fails"]["name"], told["fails"]["where"]) == ("route", lab.first)
    finally:
        lab.on(lab.first, "sysctl -qw net.ipv4.ip_forward=1")
    assert trace(lab, to)[0] == 0


def test_errors_of_a_trace_name_what_there_is(lab: Lab) -> None:
    wrong = lab.cluster.tiphys("net", "trace", "pod/nosuch", "svc/web", check=False)
    assert wrong.returncode == 81
    assert 'no pod "nosuch" in namespace default: there are web-' in wrong.stderr


def everything(lab: Lab) -> str:
    """Rules, links and routes of both nodes, and the cluster's own rules on the host."""
    command = "sh -c 'nft -s list ruleset; ip route; ip link'"
    host = shell(f"nft -s list table ip tiphys-{lab.cluster.name}")
    return host + lab.on(lab.first, command) + lab.on(lab.second, command)


def test_a_diff_tells_what_would_change_and_changes_nothing(lab: Lab) -> None:
    no_difference_made(lab, "nftables", "iptables")


def test_a_diff_of_every_mode(other_mode: Lab) -> None:
    path = other_mode.cluster.home / "state" / other_mode.cluster.name / "profile.json"
    no_difference_made(other_mode, json.loads(path.read_text())["proxy_mode"], "nftables")


def no_difference_made(lab: Lab, mode: str, other: str) -> None:
    before = everything(lab)
    assert lab.net("diff", "--proxy-mode", mode) == (
        0,
        {"changes": [], "connections": [], "command": ANY},
    )
    code, told = lab.net("diff", "--proxy-mode", other, "--overlay", "vxlan")
    assert code == 1
    kinds = {(c["action"], c["kind"]) for c in told["changes"]}
    assert {("add", "link"), ("replace", "route"), ("replace", "mtu")} <= kinds
    assert {"add", "remove"} & {action for action, kind in kinds if kind in ("rule", "element")}
    assert told["connections"]
    assert everything(lab) == before


def overlay_link_gone(lab: Lab) -> None:
    """The network agent, which would make it again, shares the proxy's process."""
    lab.stop("proxy", lab.second)
    lab.on(lab.second, "ip link set tiphys.vxlan down")


def test_a_stopped_cluster_starts_with_another_overlay(lab: Lab) -> None:
    """The last of this file: the doctor and the trace know the overlay too."""
    running = lab.cluster.tiphys("start", "--overlay", "vxlan", check=False)
    assert running.returncode == 34
    assert "runs with overlay auto" in running.stderr
    lab.cluster.tiphys("stop")
    lab.cluster.start("--overlay", "vxlan")
    until(lambda: len(lab.cluster.running_pods("app=web")) == 2, what="the pods are back")
    until(lambda: not lab.findings(), what="a network without findings")
    assert lab.net("diff", "--overlay", "vxlan")[1]["changes"] == []
    every_hop(lab)
    _, told = trace(lab, f"{lab.pod(lab.first)['status']['podIP']}:8080")
    assert "overlay" in [hop["name"] for hop in told["hops"]]
    overlay_link_gone(lab)
    found = lab.findings()
    assert {(f["check"], f["where"]) for f in found} == {
        ("links", lab.second),
        ("rules", lab.second),
    }
    assert "tiphys.vxlan" in found[0]["what"]
    for one in found:
        shell(one["fix"], lab.cluster.env)
    until(lambda: not lab.findings(), what="mended")
