"""The machines of a profile: names and addresses of new ones, switching, leaving."""

from pathlib import Path
from typing import Any

import pytest

from tiphys.cluster import addons, start_wait
from tiphys.cluster.nodes import NODES_MAX, find, with_node, with_switch, without_node
from tiphys.cluster.profile import Profile, ProfileError, Roots

EMPTY = Profile(
    name="dev",
    roots=Roots(Path("/nowhere"), Path("/nowhere")),
    api_port=6443,
    node_cidr="192.168.49.0/24",
    pod_cidr="10.244.0.0/16",
    service_cidr="10.96.0.0/16",
    load_balancer_pool="192.168.49.128/25",
)


def of(count: int) -> Profile:
    profile = EMPTY
    for _ in range(count):
        profile = with_node(profile)
    return profile


@pytest.mark.parametrize(
    ("node", "is_marked"),
    [
        pytest.param(None, False, id="not-there"),
        pytest.param({"metadata": {"name": "n"}}, False, id="its-kubelet-was-first"),
        pytest.param({"metadata": {"labels": {addons.MASTER_LABEL: ""}}}, True, id="with-its-role"),
    ],
)
def test_which_masters_are_marked_again(node: dict[str, Any] | None, is_marked: bool) -> None:
    assert start_wait.is_marked(node) is is_marked


def test_names_and_addresses_are_minikubes() -> None:
    assert [(n.name, n.address) for n in of(3).nodes] == [
        ("dev", "192.168.49.2"),
        ("dev-m02", "192.168.49.3"),
        ("dev-m03", "192.168.49.4"),
    ]


def test_a_new_node_takes_the_first_free_name_and_address() -> None:
    profile = with_node(without_node(of(3), "dev-m02"))
    assert (profile.nodes[-1].name, profile.nodes[-1].address) == ("dev-m02", "192.168.49.3")
    named = with_node(profile, "gpu").nodes[-1]
    assert (named.name, named.address) == ("gpu", "192.168.49.5")


def test_addresses_stay_below_the_load_balancers() -> None:
    assert of(NODES_MAX).nodes[-1].address == "192.168.49.65"
    with pytest.raises(ProfileError, match="more are not possible"):
        with_node(of(NODES_MAX))


def test_only_known_nodes_are_switched_or_leave() -> None:
    profile = with_switch(of(2), "dev", stopped=True)
    assert [n.name for n in profile.running_nodes] == ["dev-m02"]
    assert with_switch(profile, "dev", stopped=False).running_nodes == list(of(2).nodes)
    with pytest.raises(ProfileError, match=r'no node "x" \(there are: dev, dev-m02\)'):
        find(profile, "x")
    with pytest.raises(ProfileError, match='has a node "dev" already'):
        with_node(profile, "dev")
