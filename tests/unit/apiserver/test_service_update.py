"""What a Service's update keeps and drops when its type changes."""

from typing import Any

import pytest

from tiphys.apiserver.resources.core.service_update import drop_of_type, keep_allocated

NODE_PORT: dict[str, Any] = {
    "type": "NodePort",
    "clusterIP": "10.96.0.5",
    "clusterIPs": ["10.96.0.5"],
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
    "externalTrafficPolicy": "Cluster",
    "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}],
}
BALANCER = NODE_PORT | {
    "type": "LoadBalancer",
    "externalTrafficPolicy": "Local",
    "healthCheckNodePort": 30900,
    "allocateLoadBalancerNodePorts": True,
}


@pytest.mark.parametrize(
    ("before", "change", "gone"),
    [
        (NODE_PORT, {"type": "ClusterIP"}, {"externalTrafficPolicy", "nodePort"}),
        (
            NODE_PORT,
            {"type": "ExternalName"},
            {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}
            | {"externalTrafficPolicy", "nodePort"},
        ),
        (BALANCER, {"type": "NodePort"}, {"healthCheckNodePort", "allocateLoadBalancerNodePorts"}),
        (BALANCER, {"externalTrafficPolicy": "Cluster"}, {"healthCheckNodePort"}),
        (BALANCER, {"allocateLoadBalancerNodePorts": False}, set()),
        (NODE_PORT, {"type": "LoadBalancer"}, set()),
        (NODE_PORT, {"type": "ClusterIP", "externalIPs": ["192.0.2.1"]}, {"nodePort"}),
        (
            NODE_PORT,
            {"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30999}]},
            {"externalTrafficPolicy"},
        ),
    ],
)
def test_a_type_takes_what_only_it_needed_along(
    before: dict[str, Any], change: dict[str, Any], gone: set[str]
) -> None:
    spec = before | change
    drop_of_type(spec, before)
    lost = {field for field in before if field not in spec}
    lost |= {"nodePort"} if "nodePort" not in spec["ports"][0] else set()
    assert lost == gone


def test_what_was_given_out_stays_where_an_update_does_not_name_it() -> None:
    spec: dict[str, Any] = {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}
    keep_allocated(spec, NODE_PORT)
    assert (spec["clusterIP"], spec["ports"][0]["nodePort"]) == ("10.96.0.5", 30080)


@pytest.mark.parametrize(
    ("ports", "wanted"),
    [
        ([{"port": 81}], [30080]),
        ([{"port": 80, "name": "other"}], [0]),
        ([{"port": 80}, {"port": 81, "name": "b", "nodePort": 30080}], [0, 30080]),
    ],
)
def test_a_node_port_goes_with_the_name_of_its_port(
    ports: list[dict[str, Any]], wanted: list[int]
) -> None:
    spec: dict[str, Any] = {"type": "NodePort", "ports": ports}
    keep_allocated(spec, NODE_PORT)
    assert [port.get("nodePort", 0) for port in spec["ports"]] == wanted


def test_a_balancer_that_is_to_have_no_node_ports_is_given_none_back() -> None:
    spec = BALANCER | {"allocateLoadBalancerNodePorts": False, "ports": [{"port": 80}]}
    keep_allocated(spec, BALANCER)
    assert "nodePort" not in spec["ports"][0]
