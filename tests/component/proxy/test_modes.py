"""One behaviour suite for all modes: real packets through real rules and sockets. Needs root."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.proxy_lab import (
    BALANCER,
    CLUSTER_IP,
    ECHO_PORT,
    EXTERNAL,
    NODE,
    OUTSIDE,
    Lab,
    a_service,
    a_slice,
    an_endpoint,
)
from tiphys.api.meta import Obj
from tiphys.lib.netlink import netns
from tiphys.proxy.config import MODES

pytestmark = pytest.mark.root

KERNEL_MODES = ("nftables", "iptables")


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lab(tmp_path: Path, mode: str) -> Iterator[Lab]:
    with ExitStack() as stack:
        found = Lab(tmp_path, stack)
        stack.callback(found.stop)
        found.start(mode)
        yield found


@pytest.fixture(autouse=True)
def no_refusals(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The kernel takes every change as it is: what is refused is written anew, and hides faults."""
    yield
    assert not [r for r in caplog.get_records("call") if r.levelname in ("WARNING", "ERROR")]


def endpoints(lab: Lab, *numbers: int) -> list[Obj]:
    return [an_endpoint(lab.addresses[n], node="n2" if n == 2 else "n1") for n in numbers]


def serve(lab: Lab, *numbers: int, **spec: Any) -> None:
    lab.apply(a_service(**spec), a_slice(*endpoints(lab, *numbers)))


def is_silent(lab: Lab, *where: Any, **how: Any) -> bool:
    try:
        lab.ask(*where, **how)
    except TimeoutError:
        return True
    return False


def answering(lab: Lab, *where: Any, count: int = 30, **how: Any) -> set[str]:
    return {lab.ask(*where, **how)[0] for _ in range(count)}


def test_a_cluster_address_leads_to_all_endpoints_from_everywhere(lab: Lab) -> None:
    serve(lab, 0, 1, 2)
    for where in (lab.pods[0], lab.node, lab.outside):
        assert answering(lab, where) == set(lab.addresses), "a pod reaches itself too"


def test_replies_find_their_way(lab: Lab, mode: str) -> None:
    serve(lab, 1)
    assert lab.ask(lab.outside)[1] == NODE, "masqueraded"
    assert lab.ask(lab.node)[0] == lab.addresses[1]
    from_pod = lab.ask(lab.pods[0])[1]
    if mode in KERNEL_MODES:
        assert from_pod == lab.addresses[0], "pods see each other"
    serve(lab, 0)
    assert lab.ask(lab.pods[0])[0] == lab.addresses[0], "hairpin"


def test_several_ports_and_protocols(lab: Lab) -> None:
    ports = [
        {"name": "one", "port": 80, "protocol": "TCP"},
        {"name": "two", "port": 81, "protocol": "TCP"},
        {"name": "three", "port": 80, "protocol": "UDP"},
    ]
    offered = [
        {"name": "one", "port": 8080, "protocol": "TCP"},
        {"name": "two", "port": 8081, "protocol": "TCP"},
        {"name": "three", "port": 8080, "protocol": "UDP"},
    ]
    lab.apply(a_service(ports=ports), a_slice(*endpoints(lab, 0, 1), ports=offered))
    for where in (lab.pods[2], lab.node, lab.outside):
        assert lab.ask(where)[2] == "8080"
        assert lab.ask(where, port=81)[2] == "8081"
        assert {lab.ask_udp(where)[0] for _ in range(20)} == set(lab.addresses[:2])


@pytest.mark.parametrize(
    ("address", "port"),
    [
        pytest.param(NODE, 30080, id="node-port"),
        pytest.param(BALANCER, 80, id="load-balancer"),
        pytest.param(EXTERNAL, 80, id="external-ip"),
    ],
)
def test_addresses_for_those_outside(lab: Lab, address: str, port: int) -> None:
    ports = [{"port": 80, "nodePort": 30080}]
    serve(lab, 0, 1, 2, type="LoadBalancer", ports=ports, externalIPs=[EXTERNAL])
    for where in (lab.outside, lab.node, lab.pods[0]):
        assert answering(lab, where, address, port) == set(lab.addresses)
    assert lab.ask(lab.outside, address, port)[1] == NODE, "masqueraded"


def test_source_ranges_bind_load_balancers_only(lab: Lab) -> None:
    ranges = [f"{OUTSIDE}/32", " 192.168.77.0/24"]
    ports = [{"port": 80, "nodePort": 30080}]
    serve(lab, 0, type="LoadBalancer", loadBalancerSourceRanges=ranges, ports=ports)
    assert lab.ask(lab.outside, BALANCER)[0] == lab.addresses[0]
    assert is_silent(lab, lab.outside, BALANCER, source="192.168.78.1")
    assert lab.ask(lab.outside, NODE, 30080, "192.168.78.1")[0] == lab.addresses[0]
    assert lab.ask(lab.outside, source="192.168.78.1")[0] == lab.addresses[0]
    serve(lab, 0, type="LoadBalancer", ports=ports)
    assert lab.ask(lab.outside, BALANCER, source="192.168.78.1")[0] == lab.addresses[0]


def test_a_local_external_policy(lab: Lab, mode: str) -> None:
    spec = {
        "type": "LoadBalancer",
        "ports": [{"port": 80, "nodePort": 30080}],
        "externalTrafficPolicy": "Local",
    }
    serve(lab, 0, 2, **spec)
    for address, port in ((BALANCER, 80), (NODE, 30080)):
        assert answering(lab, lab.outside, address, port) == {lab.addresses[0]}
        for where in (lab.pods[1], lab.node):
            assert answering(lab, where, address, port) == {lab.addresses[0], lab.addresses[2]}
        if mode in KERNEL_MODES:
            assert lab.ask(lab.outside, address, port)[1] == OUTSIDE, "the client is seen"
    assert answering(lab, lab.outside) == {lab.addresses[0], lab.addresses[2]}, "ClusterIP: all"
    serve(lab, 2, **spec)
    assert is_silent(lab, lab.outside, BALANCER)
    for where in (lab.pods[0], lab.node):
        assert lab.ask(where, BALANCER)[0] == lab.addresses[2]
    serve(lab, **spec)
    with pytest.raises(ConnectionRefusedError):
        lab.ask(lab.outside, BALANCER)


def test_a_local_internal_policy(lab: Lab) -> None:
    serve(lab, 1, 2, internalTrafficPolicy="Local")
    for where in (lab.pods[0], lab.node, lab.outside):
        assert answering(lab, where, count=12) == {lab.addresses[1]}
    serve(lab, 2, internalTrafficPolicy="Local")
    assert is_silent(lab, lab.pods[0])


def test_load_balancers_ask_a_port_whether_there_are_local_endpoints(lab: Lab) -> None:
    spec = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "healthCheckNodePort": 32000,
        "ports": [{"port": 80}, {"name": "other", "port": 81}],
    }

    def check() -> tuple[int, Any, str]:
        with netns.inside(lab.outside):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                with opener.open(f"http://{NODE}:32000/any", timeout=3) as answer:
                    return answer.status, json.load(answer), answer.headers["Content-Type"]
            except urllib.error.HTTPError as refused:
                return refused.code, json.load(refused), refused.headers["Content-Type"]

    service = {"namespace": "default", "name": "web"}
    for numbers, status, count in (((0, 1, 2), 200, 2), ((2,), 503, 0), ((1, 2), 200, 1)):
        serve(lab, *numbers, **spec)
        body = {"service": service, "localEndpoints": count, "serviceProxyHealthy": True}
        assert check() == (status, body, "application/json")
    serve(lab, 0, type="LoadBalancer")
    with pytest.raises(urllib.error.URLError):
        check()


def test_without_endpoints_and_on_unknown_ports_the_answer_is_no_at_once(lab: Lab) -> None:
    ports = [{"port": 80, "nodePort": 30080}, {"port": 80, "protocol": "UDP", "name": "u"}]
    serve(lab, type="LoadBalancer", ports=ports)
    for where in (lab.pods[0], lab.node, lab.outside):
        for address, port in ((CLUSTER_IP, 80), (BALANCER, 80), (NODE, 30080)):
            with pytest.raises(ConnectionRefusedError):
                lab.ask(where, address, port)
        with pytest.raises((ConnectionRefusedError, PermissionError)):  # The node itself: EPERM.
            lab.ask_udp(where)
    serve(lab, 1)
    for where in (lab.pods[0], lab.node, lab.outside):
        assert lab.ask(where)[0] == lab.addresses[1]
        with pytest.raises(ConnectionRefusedError):
            lab.ask(where, port=81)


def test_endpoints_that_end_serve_only_when_no_other_does(lab: Lab) -> None:
    ending = an_endpoint(lab.addresses[0], ready=False, serving=True, terminating=True)
    lab.apply(a_service(), a_slice(ending, *endpoints(lab, 1)))
    assert answering(lab, lab.pods[2], count=12) == {lab.addresses[1]}
    lab.apply(a_slice(ending))
    assert answering(lab, lab.pods[2], count=3) == {lab.addresses[0]}
    gone = an_endpoint(lab.addresses[0], ready=False, serving=False, terminating=True)
    lab.apply(a_slice(gone))
    with pytest.raises(ConnectionRefusedError):
        lab.ask(lab.pods[2])


def sticky(seconds: int) -> dict[str, Any]:
    return {
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": seconds}},
        "type": "LoadBalancer",
        "ports": [{"port": 80, "nodePort": 30080}],
    }


def test_a_client_stays_with_its_endpoint(lab: Lab) -> None:
    serve(lab, 0, 1, 2, **sticky(600))
    for address, port in ((CLUSTER_IP, 80), (BALANCER, 80), (NODE, 30080)):
        for where in (lab.pods[0], lab.node, lab.outside):
            assert len(answering(lab, where, address, port, count=12)) == 1
    before = lab.ask(lab.pods[0])[0]
    others = [n for n in range(3) if lab.addresses[n] != before]
    serve(lab, *others, **sticky(600))
    after = answering(lab, lab.pods[0], count=12)
    assert len(after) == 1
    assert after != {before}, "the endpoint is gone"
    serve(lab, 0, 1, 2, **sticky(600))
    assert answering(lab, lab.pods[0], count=12) == after, "it stays where it went"


def test_clients_stay_although_the_rules_are_written_anew(lab: Lab, mode: str) -> None:
    serve(lab, 0, 1, 2, **sticky(600))
    clients = (*lab.pods[:2], lab.node, lab.outside)
    before = [lab.ask(where)[0] for where in clients]
    run_in(lab.node, *TAMPERINGS[mode][-1])
    assert not lab.check()
    lab.sync()
    assert [lab.ask(where)[0] for where in clients] == before


def test_affinity_ends_after_its_timeout(lab: Lab) -> None:
    serve(lab, 0, 1, 2, **sticky(1))
    seen = set()
    for _ in range(12):
        first = lab.ask(lab.pods[0])[0]
        assert lab.ask(lab.pods[0])[0] == first
        seen.add(first)
        if len(seen) > 1:
            return
        time.sleep(1.3)  # The timeout itself.
    pytest.fail("always the same endpoint")


def test_udp_clients_that_never_stop_reach_new_endpoints(lab: Lab) -> None:
    ports = [{"port": 80, "protocol": "UDP", "nodePort": 30080}]
    offered: list[Obj] = [{"port": 8080, "protocol": "UDP"}]
    lab.apply(a_service(ports=ports, type="NodePort"))
    for where, address, port in ((lab.pods[2], CLUSTER_IP, 80), (lab.outside, NODE, 30080)):
        lab.apply(a_slice(*endpoints(lab, 0), ports=offered))
        with lab.udp(where, address, port) as client:
            client.send(b"?")
            assert client.recv(100).split()[0].decode() == lab.addresses[0]
            lab.apply(a_slice(*endpoints(lab, 1), ports=offered))
            client.send(b"?")
            assert client.recv(100).split()[0].decode() == lab.addresses[1]


def test_connections_outlive_changes_of_endpoints(lab: Lab) -> None:
    offered: list[Obj] = [{"port": ECHO_PORT, "protocol": "TCP"}]
    lab.apply(a_service(), a_slice(*endpoints(lab, 0), ports=offered))
    with netns.inside(lab.outside):
        connection = socket.create_connection((CLUSTER_IP, 80), 3)
    with connection:
        connection.sendall(b"before")
        assert connection.recv(100) == b"before"
        lab.apply(a_slice(*endpoints(lab, 1, 2), ports=offered))
        assert lab.check()
        connection.sendall(b"after")
        assert connection.recv(100) == b"after"
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b"", "the end of one direction is passed on, and answered"


def test_much_data_both_ways(lab: Lab) -> None:
    offered: list[Obj] = [{"port": ECHO_PORT, "protocol": "TCP"}]
    lab.apply(a_service(), a_slice(*endpoints(lab, 0), ports=offered))
    sent = bytes(range(256)) * 4096
    with netns.inside(lab.pods[1]):
        connection = socket.create_connection((CLUSTER_IP, 80), 10)
    with connection:
        received = b""
        for start in range(0, len(sent), 65536):
            piece = sent[start : start + 65536]
            connection.sendall(piece)
            while len(received) < start + len(piece):
                received += connection.recv(65536)
    assert received == sent


def test_a_deleted_service_is_gone(lab: Lab) -> None:
    serve(lab, 0, type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    assert lab.ask(lab.outside, NODE, 30080)
    lab.delete(a_service())
    with pytest.raises(ConnectionRefusedError):
        lab.ask(lab.outside, NODE, 30080)
    with pytest.raises(OSError, match=r"refused|timed out|No route"):
        lab.ask(lab.pods[0])
    assert lab.check()


def test_endpoints_take_turns_exactly_or_at_random(lab: Lab, mode: str) -> None:
    serve(lab, 0, 1, 2)
    found = Counter(lab.ask(lab.outside)[0] for _ in range(90))
    assert set(found) == set(lab.addresses)
    if mode == "userspace":
        assert set(found.values()) == {30}
    else:
        assert min(found.values()) >= 12


ELEMENT = ["delete", "element", "ip", "kube-proxy", "services", "{ tcp . 10.96.0.7 . 80 }"]
TAMPERINGS = {
    "nftables": [
        ["nft", "flush", "ruleset"],
        ["nft", *ELEMENT],
        ["nft", "flush", "chain", "ip", "kube-proxy", "service-2"],
        ["nft", "insert", "rule", "ip", "kube-proxy", "services", "ip daddr 10.96.0.7 return"],
    ],
    "iptables": [
        ["iptables", "-t", "nat", "-F"],
        ["iptables", "-t", "nat", "-D", "PREROUTING", "1"],
        ["iptables", "-t", "nat", "-I", "KUBE-SERVICES", "-j", "RETURN"],
    ],
    "userspace": [["nft", "flush", "ruleset"], ["nft", *ELEMENT]],
}


def run_in(namespace: Path, *command: str) -> str:
    """Raises CalledProcessError."""
    with netns.inside(namespace):
        return subprocess.run(
            ["/usr/sbin/" + command[0], *command[1:]], capture_output=True, text=True, check=True
        ).stdout


def test_rules_changed_by_others_are_noticed_and_written_again(lab: Lab, mode: str) -> None:
    serve(lab, 0, 1)
    for command in TAMPERINGS[mode]:
        assert lab.check()
        run_in(lab.node, *command)
        assert not lab.check(), command
        lab.sync()
        assert answering(lab, lab.pods[0], count=20) == set(lab.addresses[:2]), command
        assert lab.check()


def test_rules_of_others_are_left_alone(lab: Lab) -> None:
    serve(lab, 0)
    run_in(lab.node, "nft", "add", "table", "ip", "other")
    run_in(lab.node, "iptables", "-N", "OTHER")
    assert lab.check(), "what others do elsewhere is none of our business"
    serve(lab, 1)
    run_in(lab.node, "nft", "list", "table", "ip", "other")
    run_in(lab.node, "iptables", "-X", "OTHER")


def test_changes_go_through_although_somebody_flushed_the_rules(
    lab: Lab, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    serve(lab, 0)
    run_in(lab.node, "nft", "flush", "ruleset")
    lab.apply(a_slice(*endpoints(lab, 1)))
    if mode == "userspace":  # Another endpoint changes nothing in the kernel.
        assert not lab.check()
        lab.sync()
    assert lab.ask(lab.pods[2])[0] == lab.addresses[1]
    assert lab.check()
    caplog.clear()


@pytest.mark.parametrize("mode", KERNEL_MODES, indirect=True)
def test_traffic_goes_on_while_the_proxy_is_dead(lab: Lab) -> None:
    serve(lab, 0, 1, **sticky(600))
    assert lab.ask(lab.outside)
    lab.stop()
    assert lab.ask(lab.outside)
    assert lab.ask(lab.pods[2], NODE, 30080)


@pytest.mark.parametrize("after", MODES)
def test_a_changed_mode_cleans_up_after_the_other(lab: Lab, after: str) -> None:
    serve(lab, 0, 1)
    lab.stop()
    lab.start(after)
    assert answering(lab, lab.outside) == set(lab.addresses[:2])
    tables = run_in(lab.node, "nft", "list", "tables").splitlines()
    assert ("table ip kube-proxy" in tables) == (after != "iptables")
    assert ("KUBE-" in run_in(lab.node, "iptables-save")) == (after == "iptables")


def test_more_endpoints_than_chains_are_made_for_at_first(lab: Lab) -> None:
    elsewhere = [an_endpoint(f"10.244.9.{n}") for n in range(1, 20)]
    lab.apply(a_service(), a_slice(*endpoints(lab, 0), *elsewhere))
    assert lab.check()
    lab.apply(a_slice(*endpoints(lab, 1)))
    assert lab.ask(lab.outside)[0] == lab.addresses[1]


def test_what_is_written_is_what_the_kernel_has(lab: Lab, mode: str) -> None:
    """Every kind of rule, whole and changed; with a table of others the check is thorough."""
    spec = sticky(600) | {
        "externalTrafficPolicy": "Local",
        "loadBalancerSourceRanges": ["192.168.77.0/24", "10.0.0.0/8", "1.2.3.4/32"],
        "externalIPs": [EXTERNAL],
    }
    for number, numbers in enumerate(((0, 1, 2), (2,), (), (0,), (1, 2))):
        serve(lab, *numbers, **spec)
        run_in(lab.node, "nft", "add", "table", "ip", f"other{number}")
        assert lab.check()
    lab.stop()
    lab.start(mode)
    run_in(lab.node, "nft", "add", "table", "ip", "other")
    assert lab.check()
    assert lab.ask(lab.outside, BALANCER)[0] == lab.addresses[1]


@pytest.mark.parametrize("mode", ["nftables", "userspace"], indirect=True)
def test_thousands_of_services(lab: Lab, mode: str) -> None:
    """More elements than are written as text."""
    count = 2000
    for number in range(count):
        address = f"10.96.{1 + (number >> 8)}.{number & 255}"
        service = a_service(f"s{number}", clusterIP=address)
        one = a_slice(*endpoints(lab, number % 2, 2), name=f"s{number}")
        lab.tell(service, one)
    lab.stop()
    lab.start(mode)
    run_in(lab.node, "nft", "add", "table", "ip", "other")
    assert lab.check()
    assert lab.ask(lab.pods[1], "10.96.1.0")[0] in (lab.addresses[0], lab.addresses[2])
    lab.apply(a_slice(*endpoints(lab, 1), name="s0"))
    assert lab.ask(lab.pods[0], "10.96.1.0")[0] == lab.addresses[1]


@pytest.mark.parametrize("mode", ["userspace"], indirect=True)
def test_an_endpoint_that_does_not_answer_is_passed_over(lab: Lab) -> None:
    refusing, unreachable = an_endpoint(OUTSIDE), an_endpoint("10.244.0.99")
    lab.apply(a_service(), a_slice(refusing, unreachable, *endpoints(lab, 0)))
    assert {lab.ask(lab.pods[1], patience=5)[0] for _ in range(6)} == {lab.addresses[0]}


@pytest.mark.parametrize("mode", ["userspace"], indirect=True)
def test_connections_beyond_the_bound_wait(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiphys.proxy import tcp_balancer

    lab.stop()
    monkeypatch.setattr(tcp_balancer, "CONNECTIONS_MAX", 2)
    lab.start("userspace")
    offered: list[Obj] = [{"port": ECHO_PORT, "protocol": "TCP"}]
    lab.apply(a_service(), a_slice(*endpoints(lab, 0), ports=offered))
    with netns.inside(lab.outside), ExitStack() as stack:
        three = [
            stack.enter_context(socket.create_connection((CLUSTER_IP, 80), 3)) for _ in range(3)
        ]
        for connection in three:
            connection.sendall(b"?")
        assert [c.recv(10) for c in three[:2]] == [b"?", b"?"]
        three[2].settimeout(0.2)
        with pytest.raises(TimeoutError):
            three[2].recv(10)
        three[0].close()
        three[2].settimeout(3)
        assert three[2].recv(10) == b"?"


CONNECTIONS, CHI_SQUARED_MAX = 30_000, 22.46  # p = 0.001 at 6 degrees of freedom.


@pytest.mark.parametrize("mode", KERNEL_MODES, indirect=True)
def test_random_is_random(lab: Lab) -> None:
    """30,000 connections to 7 endpoints, which are 7 addresses of one pod."""
    addresses = [f"10.244.0.{240 + n}" for n in range(7)]
    with netns.inside(lab.pods[0]):
        run_in(lab.pods[0], "ip", "addr", "add", "10.244.0.240/29", "dev", "lo")
        listeners = [socket.create_server((a, 8080), backlog=4096) for a in addresses]
    route = run_in(lab.node, "ip", "route", "get", lab.addresses[0]).split()
    device = route[route.index("dev") + 1]
    run_in(lab.node, "ip", "route", "add", "10.244.0.240/29", "via", lab.addresses[0], "dev",
           device, "onlink")  # fmt: skip
    lab.apply(a_service(), a_slice(*[an_endpoint(a) for a in addresses]))
    counts: Counter[int] = Counter()
    with netns.inside(lab.node):
        for _ in range(CONNECTIONS // 1000):
            connect(1000)
            for number, listener in enumerate(listeners):
                counts[number] += accept_all(listener)
    for listener in listeners:
        listener.close()
    assert sum(counts.values()) == CONNECTIONS
    expected = CONNECTIONS / 7
    assert sum((counts[n] - expected) ** 2 / expected for n in range(7)) < CHI_SQUARED_MAX, counts


def connect(count: int) -> None:
    for _ in range(count):
        with socket.create_connection((CLUSTER_IP, 80), 3) as connection:
            # Ends with a reset, so that no port waits.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def accept_all(listener: socket.socket) -> int:
    listener.setblocking(False)
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1
