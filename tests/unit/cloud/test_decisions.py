"""What the cloud's controllers decide: tables."""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.cloud.node import UNINITIALIZED, initialized, wanted_addresses
from tiphys.cloud.node_lifecycle import SHUTDOWN, Fate, fate, taints_patch
from tiphys.cloud.provider import (
    EXCLUDED,
    TO_BE_DELETED,
    InstanceMetadata,
    ProviderError,
    Route,
    balancer_name,
    takes_traffic,
)
from tiphys.cloud.route import plan, wanted_condition

KNOWN = InstanceMetadata("cloud://1", "m1", ({"type": "InternalIP", "address": "10.0.0.1"},), "z")
OURS = {"type": "InternalIP", "address": "10.0.0.9"}
HOSTNAME = {"type": "Hostname", "address": "n"}


def a_node(name: str = "n", *, taints: tuple[str, ...] = (), ready: str = "", **rest: Any) -> Obj:
    node: Obj = {"metadata": {"name": name, "resourceVersion": "7"}, "spec": {}, "status": {}}
    if taints:
        node["spec"]["taints"] = [{"key": key, "effect": "NoSchedule"} for key in taints]
    if ready:
        node["status"]["conditions"] = [{"type": "Ready", "status": ready}]
    node["metadata"] |= rest.get("metadata", {})
    node["spec"] |= rest.get("spec", {})
    node["status"] |= rest.get("status", {})
    return node


def test_a_new_node_gets_everything_and_loses_the_taint() -> None:
    patch = initialized(a_node(taints=(UNINITIALIZED, "mine")), KNOWN)
    assert patch["spec"] == {
        "providerID": "cloud://1",
        "taints": [{"key": "mine", "effect": "NoSchedule"}],
    }
    assert patch["metadata"]["labels"] == {
        "node.kubernetes.io/instance-type": "m1",
        "beta.kubernetes.io/instance-type": "m1",
        "topology.kubernetes.io/zone": "z",
        "failure-domain.beta.kubernetes.io/zone": "z",
    }


def test_a_node_that_is_complete_is_left_alone() -> None:
    labels = initialized(a_node(), KNOWN)["metadata"]["labels"]
    done = a_node(metadata={"labels": labels}, spec={"providerID": "cloud://1"})
    assert initialized(done, KNOWN) == {}


@pytest.mark.parametrize(
    ("have", "provided", "known", "wanted"),
    [
        pytest.param([], "", [OURS], [OURS], id="new"),
        pytest.param([HOSTNAME], "", [OURS], [OURS, HOSTNAME], id="host-name-is-kept"),
        pytest.param([HOSTNAME], "", [], [], id="the-cloud-tells-nothing"),
        pytest.param(
            [],
            "10.0.0.9",
            [{"type": "InternalIP", "address": "10.0.0.1"}, OURS, HOSTNAME],
            [OURS, HOSTNAME],
            id="the-kubelets-choice",
        ),
    ],
)
def test_addresses(have: list[Obj], provided: str, known: list[Obj], wanted: list[Obj]) -> None:
    annotations = {"alpha.kubernetes.io/provided-node-ip": provided} if provided else {}
    node = a_node(metadata={"annotations": annotations}, status={"addresses": have})
    assert wanted_addresses(node, known) == wanted


def test_an_address_that_the_cloud_does_not_know() -> None:
    node = a_node(metadata={"annotations": {"alpha.kubernetes.io/provided-node-ip": "10.9.9.9"}})
    with pytest.raises(ProviderError, match=r"that matches ip: 10\.9\.9\.9"):
        wanted_addresses(node, [OURS])


@pytest.mark.parametrize(
    ("node", "exists", "shut_down", "wanted"),
    [
        pytest.param(a_node(ready="True"), False, True, Fate.NOTHING, id="ready-lives"),
        pytest.param(a_node(ready="True", taints=(SHUTDOWN,)), True, False, Fate.WORKS_AGAIN),
        pytest.param(a_node(ready="Unknown"), False, False, Fate.GONE, id="gone"),
        pytest.param(a_node(), False, False, Fate.GONE, id="never-spoke"),
        pytest.param(a_node(ready="False"), True, True, Fate.SHUT_DOWN, id="shut-down"),
        pytest.param(a_node(ready="False", taints=(SHUTDOWN,)), True, True, Fate.NOTHING),
        pytest.param(a_node(ready="Unknown"), True, False, Fate.NOTHING, id="silent"),
    ],
)
def test_what_becomes_of_a_node(node: Obj, exists: bool, shut_down: bool, wanted: Fate) -> None:
    assert fate(node, exists=exists, shut_down=shut_down) is wanted


def test_other_taints_stay() -> None:
    node = a_node(taints=("mine", SHUTDOWN))
    mine = {"key": "mine", "effect": "NoSchedule"}
    assert taints_patch(node, shut_down=False) == {
        "metadata": {"resourceVersion": "7"},
        "spec": {"taints": [mine]},
    }
    shut = taints_patch(a_node(taints=("mine",)), shut_down=True)
    assert shut["spec"]["taints"] == [mine, {"key": SHUTDOWN, "effect": "NoSchedule"}]


def routed(name: str, cidr: str, address: str) -> Obj:
    addresses = [{"type": "InternalIP", "address": address}] if address else []
    return a_node(name, spec={"podCIDRs": [cidr]}, status={"addresses": addresses})


@pytest.mark.parametrize(
    ("nodes", "have", "delete", "create"),
    [
        pytest.param(
            [routed("a", "10.244.0.0/24", "10.0.0.1")],
            [],
            [],
            [Route("a", "10.244.0.0/24", "10.0.0.1")],
            id="new",
        ),
        pytest.param(
            [routed("a", "10.244.0.0/24", "10.0.0.1")],
            [Route("", "10.244.0.0/24", "10.0.0.1", "r")],
            [],
            [],
            id="there",
        ),
        pytest.param(
            [routed("b", "10.244.0.0/24", "10.0.0.2")],
            [Route("", "10.244.0.0/24", "10.0.0.1", "r")],
            [Route("", "10.244.0.0/24", "10.0.0.1", "r")],
            [Route("b", "10.244.0.0/24", "10.0.0.2")],
            id="moved",
        ),
        pytest.param([], [Route("", "10.9.0.0/24", "10.0.0.1", "r")], [], [], id="not-ours"),
        pytest.param([routed("a", "10.244.0.0/24", "")], [], [], [], id="no-address-yet"),
    ],
)
def test_routes(
    nodes: list[Obj], have: list[Route], delete: list[Route], create: list[Route]
) -> None:
    found = plan(nodes, have, "10.244.0.0/16")
    assert (found.delete, found.create) == (delete, create)


def test_the_networks_condition_is_written_once() -> None:
    made = wanted_condition(a_node(), has_routes=True, now="t")
    assert made is not None
    assert (made["status"], made["reason"]) == ("False", "RouteCreated")
    assert wanted_condition(a_node(status={"conditions": [made]}), has_routes=True, now="u") is None
    failed = wanted_condition(a_node(status={"conditions": [made]}), has_routes=False, now="u")
    assert failed is not None
    assert failed["message"] == "RouteController failed to create a route"


@pytest.mark.parametrize(
    ("node", "takes"),
    [
        pytest.param(a_node(), True, id="any"),
        pytest.param(a_node(metadata={"labels": {EXCLUDED: ""}}), False, id="excluded"),
        pytest.param(a_node(taints=(TO_BE_DELETED,)), False, id="to-be-deleted"),
        pytest.param(a_node(metadata={"deletionTimestamp": "t"}), False, id="terminating"),
    ],
)
def test_who_belongs_behind_balancers(node: Obj, takes: bool) -> None:
    assert takes_traffic(node) is takes


def test_names_of_balancers_are_short_enough() -> None:
    service = {"metadata": {"uid": "01234567-89ab-cdef-0123-456789abcdef"}}
    assert balancer_name(service) == "a0123456789abcdef0123456789abcde"
