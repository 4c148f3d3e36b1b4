"""What NetworkPolicies let pass, as networks and ports."""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.policy.layout import difference, layout
from tiphys.policy.plan import Match, plan
from unit.controllers.builders import a_pod

NAMESPACES = {"default": {"team": "x"}, "other": {"team": "y"}}
WEB, DB, FAR, HOST, DONE = "10.0.0.1", "10.0.0.2", "10.0.1.1", "192.0.2.9", "10.0.0.9"


def pods() -> list[Obj]:
    port = {"name": "http", "containerPort": 8080}
    far_port = {"name": "http", "containerPort": 9090}
    found = [
        a_pod("web", node="n1", labels={"app": "web"}, ip=WEB, containers=[{"ports": [port]}]),
        a_pod("db", node="n1", labels={"app": "db"}, ip=DB),
        a_pod("far", node="n2", labels={"app": "web"}, ip=FAR, containers=[{"ports": [far_port]}]),
        a_pod("host", node="n1", labels={"app": "web"}, ip=HOST, hostNetwork=True),
        a_pod("done", node="n1", labels={"app": "web"}, ip=DONE, phase="Succeeded"),
    ]
    found[2]["metadata"]["namespace"] = "other"
    return found


def a_policy(app: str = "web", **spec: Any) -> Obj:
    selector = {"matchLabels": {"app": app}} if app else {}
    types = [t for t, f in (("Ingress", "ingress"), ("Egress", "egress")) if f in spec]
    return {
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"podSelector": selector, "policyTypes": types or ["Ingress"], **spec},
    }


def shown(matches: tuple[Match, ...]) -> list[tuple[Any, Any]]:
    """(networks, ports) of each."""
    return [
        (
            None if m.peers is None else sorted(str(n).removesuffix("/32") for n in m.peers),
            None if m.ports is None else [f"{p.protocol} {p.low}-{p.high}" for p in m.ports],
        )
        for m in matches
    ]


def ingress(*rules: Obj) -> list[tuple[Any, Any]]:
    return shown(plan([a_policy(ingress=list(rules))], pods(), NAMESPACES, "n1").ingress[WEB])


def egress(*rules: Obj) -> list[tuple[Any, Any]]:
    return shown(plan([a_policy(egress=list(rules))], pods(), NAMESPACES, "n1").egress[WEB])


def block(cidr: str, *holes: str) -> Obj:
    return {"from": [{"ipBlock": {"cidr": cidr, "except": list(holes)}}]}


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        pytest.param({}, (None, None), id="everything"),
        pytest.param({"from": [{"podSelector": {}}]}, ([f"{WEB}/32", DB], None), id="namespace"),
        pytest.param(
            {"from": [{"podSelector": {"matchLabels": {"app": "db"}}}]}, ([DB], None), id="pods"
        ),
        pytest.param(
            {"from": [{"namespaceSelector": {"matchLabels": {"team": "y"}}}]},
            ([FAR], None),
            id="another-namespace",
        ),
        pytest.param(
            {"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}]},
            ([WEB, FAR], None),
            id="both-selectors",
        ),
        pytest.param(
            block("10.0.0.0/30", "10.0.0.0/31"), (["10.0.0.2/31"], None), id="block-with-a-hole"
        ),
        pytest.param(block("10.0.0.0/30", "10.0.0.0/24"), ([], None), id="nothing-left"),
        pytest.param(block("fd00::/8"), ([], None), id="another-family"),
        pytest.param({"ports": [{"port": 80}]}, (None, ["tcp 80-80"]), id="port"),
        pytest.param(
            {"ports": [{"port": 80, "endPort": 90, "protocol": "UDP"}, {"protocol": "SCTP"}]},
            (None, ["udp 80-90", "sctp 0-65535"]),
            id="ranges",
        ),
        pytest.param({"ports": [{"port": "http"}]}, (None, ["tcp 8080-8080"]), id="named"),
    ],
)
def test_what_may_come_in(rule: Obj, allowed: tuple[Any, Any]) -> None:
    networks, ports = allowed
    if networks and f"{WEB}/32" in networks:
        networks = sorted([WEB, DB])
    assert ingress(rule) == [(networks, ports)]


def test_a_name_that_no_port_has_lets_nothing_pass() -> None:
    assert ingress({"ports": [{"port": "no"}]}) == []


def test_a_named_port_is_the_number_of_whom_is_called() -> None:
    found = egress({"ports": [{"port": "http"}]})
    assert found == [([WEB], ["tcp 8080-8080"]), ([FAR], ["tcp 9090-9090"])]


def test_only_selected_pods_of_the_node_are_isolated_and_only_where_it_is_said() -> None:
    found = plan([a_policy(ingress=[])], pods(), NAMESPACES, "n1")
    assert (dict(found.ingress), dict(found.egress)) == ({WEB: ()}, {})
    everybody = plan([a_policy("", egress=[])], pods(), NAMESPACES, "n1")
    assert (set(everybody.egress), dict(everybody.ingress)) == ({WEB, DB}, {})
    assert not plan([a_policy(ingress=[])], pods(), NAMESPACES, "n3").ingress


def test_policies_add_up() -> None:
    policies = [a_policy(ingress=[]), a_policy("", ingress=[{"ports": [{"port": 80}]}])]
    found = plan(policies, pods(), NAMESPACES, "n1")
    assert shown(found.ingress[WEB]) == [(None, ["tcp 80-80"])]


def test_a_pod_more_among_the_peers_is_one_element_more() -> None:
    policy = a_policy(ingress=[{"from": [{"podSelector": {}}]}])
    before = layout(plan([policy], pods(), NAMESPACES, "n1"))
    more = [*pods(), a_pod("new", node="n2", ip="10.0.1.5")]
    after = layout(plan([policy], more, NAMESPACES, "n1"))
    (name,) = after.sets
    added = f"add element ip tiphys-network-policies {name} {{ 10.0.1.5/32 }}\n"
    assert difference(before, after) == added
    assert difference(after, after) == ""
