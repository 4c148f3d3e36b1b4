"""Policies in the kernel: who reaches whom, with real sockets. Needs root."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.proxy_lab import NODE, OUTSIDE, Lab, a_service, a_slice, an_endpoint
from tiphys.api.meta import Obj
from tiphys.lib.netlink import netns
from tiphys.policy.nftables import NftablesWriter, PolicyError
from tiphys.policy.plan import plan

pytestmark = pytest.mark.root

PEERS = {"one": {"podSelector": {"matchLabels": {"pod": "1"}}}}


class PolicyLab:
    """Pods 0, 1 and 2 of one node, labelled with their numbers, and the outside."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.writer = NftablesWriter()
        self.labels = {n: str(n) for n in range(3)}

    def pods(self) -> list[Obj]:
        port = {"name": "web", "containerPort": 8080}
        return [
            {
                "metadata": {
                    "name": f"p{n}",
                    "namespace": "default",
                    "labels": {"pod": self.labels[n]},
                },
                "spec": {"nodeName": "n1", "containers": [{"ports": [port]}]},
                "status": {"phase": "Running", "podIP": self.lab.addresses[n]},
            }
            for n in range(3)
        ]

    def apply(self, *specs: Obj) -> bool:
        policies = [
            {
                "metadata": {"name": f"p{n}", "namespace": "default"},
                "spec": {"podSelector": {"matchLabels": {"pod": "0"}}, **spec},
            }
            for n, spec in enumerate(specs)
        ]
        with netns.inside(self.lab.node):
            return self.writer.write(plan(policies, self.pods(), {"default": {}}, "n1"))

    def reaches(self, source: Path, pod: int, port: int = 8080) -> bool:
        try:
            answer = self.lab.ask(source, self.lab.addresses[pod], port)
        except TimeoutError:
            return False
        return answer[0] == self.lab.addresses[pod]

    def who_reaches(self, pod: int, port: int = 8080) -> set[str]:
        sources = {"outside": self.lab.outside, "node": self.lab.node}
        sources |= {f"p{n}": self.lab.pods[n] for n in range(3) if n != pod}
        return {name for name, where in sources.items() if self.reaches(where, pod, port)}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[PolicyLab]:
    with ExitStack() as stack:
        yield PolicyLab(Lab(tmp_path, stack))


def ingress(*rules: Obj) -> Obj:
    return {"policyTypes": ["Ingress"], "ingress": list(rules)}


def egress(*rules: Obj) -> Obj:
    return {"policyTypes": ["Egress"], "egress": list(rules)}


def a_block(cidr: str, *holes: str) -> Obj:
    return {"ipBlock": {"cidr": cidr, "except": list(holes)}}


@pytest.mark.parametrize(
    ("specs", "reaching"),
    [
        pytest.param([], {"node", "outside", "p1", "p2"}, id="no-policy"),
        pytest.param([ingress()], {"node"}, id="default-deny"),
        pytest.param([ingress({})], {"node", "outside", "p1", "p2"}, id="allow-all"),
        pytest.param([ingress({"from": [PEERS["one"]]})], {"node", "p1"}, id="pods"),
        pytest.param(
            [ingress(), ingress({"from": [PEERS["one"]]})], {"node", "p1"}, id="they-add-up"
        ),
        pytest.param(
            [ingress({"from": [a_block(f"{OUTSIDE}/32")]})], {"node", "outside"}, id="block"
        ),
        pytest.param(
            [ingress({"from": [a_block("0.0.0.0/0", "10.244.0.0/24")]})],
            {"node", "outside"},
            id="block-with-a-hole",
        ),
        pytest.param(
            [ingress({"ports": [{"port": 8080}]})], {"node", "outside", "p1", "p2"}, id="port"
        ),
        pytest.param(
            [ingress({"from": [PEERS["one"]], "ports": [{"port": "web"}]})],
            {"node", "p1"},
            id="named-port",
        ),
        pytest.param([ingress({"ports": [{"port": 8081}]})], {"node"}, id="another-port"),
        pytest.param(
            [ingress({"ports": [{"port": 8000, "endPort": 8080}]})],
            {"node", "outside", "p1", "p2"},
            id="range",
        ),
        pytest.param(
            [ingress({"ports": [{"port": 8080, "protocol": "UDP"}]})], {"node"}, id="protocol"
        ),
        pytest.param([egress()], {"node", "outside", "p1", "p2"}, id="answers-go-out"),
    ],
)
def test_who_reaches_a_pod(lab: PolicyLab, specs: list[Obj], reaching: set[str]) -> None:
    lab.apply(*specs)
    assert lab.who_reaches(0) == reaching
    assert lab.reaches(lab.lab.pods[1], 2), "others are as free as before"


def test_no_policy_keeps_a_pod_from_itself(lab: PolicyLab) -> None:
    """By way of its own Service, whose rules lead the packet back."""
    lab.lab.start("nftables")
    try:
        lab.lab.apply(a_service(), a_slice(an_endpoint(lab.lab.addresses[0])))
        lab.apply(ingress(), egress())
        assert lab.lab.ask(lab.lab.pods[0])[0] == lab.lab.addresses[0]
        with pytest.raises(TimeoutError):
            lab.lab.ask(lab.lab.pods[1])
        lab.labels[0], lab.labels[1] = "1", "0"  # Another pod is apart now: elements follow.
        lab.apply(ingress(), egress())
        assert lab.lab.ask(lab.lab.pods[0])[0] == lab.lab.addresses[0]
    finally:
        lab.lab.stop()


@pytest.mark.parametrize(
    ("specs", "reached"),
    [
        pytest.param([egress()], set(), id="default-deny"),
        pytest.param([egress({"to": [PEERS["one"]]})], {1}, id="pods"),
        pytest.param([egress({"ports": [{"port": "web"}]})], {1, 2}, id="named-port"),
        pytest.param([egress({"ports": [{"port": 8081}]})], set(), id="another-port"),
        pytest.param([ingress()], {1, 2}, id="ingress-alone"),
    ],
)
def test_whom_a_pod_reaches(lab: PolicyLab, specs: list[Obj], reached: set[int]) -> None:
    lab.apply(*specs)
    assert {n for n in (1, 2) if lab.reaches(lab.lab.pods[0], n)} == reached


def test_policies_come_change_and_go(lab: PolicyLab) -> None:
    rule: dict[str, Any] = {"from": [PEERS["one"]]}
    assert lab.apply(ingress(rule))
    assert not lab.apply(ingress(rule)), "nothing is new"
    assert lab.who_reaches(0) == {"node", "p1"}
    lab.labels |= {1: "x", 2: "1"}
    assert lab.apply(ingress(rule))
    assert lab.who_reaches(0) == {"node", "p2"}
    assert lab.apply(ingress(rule), egress())
    assert not lab.reaches(lab.lab.pods[0], 1)
    assert lab.apply(ingress({}))
    assert lab.who_reaches(0) == {"node", "outside", "p1", "p2"}
    assert lab.apply()


def test_what_somebody_else_took_away_is_said_once_and_written_anew(lab: PolicyLab) -> None:
    rule: dict[str, Any] = {"from": [PEERS["one"]]}
    lab.apply(ingress(rule))
    with netns.inside(lab.lab.node):
        NftablesWriter().write(plan([], [], {}, "n1"))
    with pytest.raises(PolicyError, match="nft refused"):
        lab.apply(ingress({}))
    assert lab.apply(ingress(rule))
    assert lab.who_reaches(0) == {"node", "p1"}


def test_a_connection_that_was_allowed_goes_on(lab: PolicyLab) -> None:
    lab.apply(ingress({}))  # From now on the kernel keeps track, as it does beside a proxy.
    with lab.lab.udp(lab.lab.pods[1], lab.lab.addresses[0], 8080) as client:
        client.send(b"?")
        assert client.recv(100)
        lab.apply(ingress({"from": [a_block(f"{NODE}/32")]}))
        client.send(b"?")
        assert client.recv(100)
    assert lab.who_reaches(0) == {"node"}
