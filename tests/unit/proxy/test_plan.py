"""Services and slices to frontends and targets."""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.proxy.plan import Backend, Frontend, Kind, Target, plan


def a_service(**spec: Any) -> Obj:
    defaults = {"clusterIP": "10.96.0.7", "type": "ClusterIP", "ports": [{"port": 80}]}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": defaults | spec}


def a_slice(*endpoints: Obj) -> Obj:
    return {
        "metadata": {
            "name": "web-x",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "ports": [{"port": 8080, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def an_endpoint(address: str, *, node: str = "n1", **conditions: bool) -> Obj:
    return {"addresses": [address], "nodeName": node, "conditions": conditions}


READY = an_endpoint("10.0.0.1", ready=True)
ELSEWHERE = an_endpoint("10.0.0.2", node="n2", ready=True)
ENDING = an_endpoint("10.0.0.3", ready=False, serving=True, terminating=True)
ONE, TWO, THREE = (Target(f"10.0.0.{n}", 8080) for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("endpoints", "targets"),
    [
        pytest.param([READY, ELSEWHERE], (ONE, TWO), id="ready"),
        pytest.param([READY, ENDING], (ONE,), id="ending-ones-are-left-out"),
        pytest.param([ENDING], (THREE,), id="ending-ones-serve-when-no-other-does"),
        pytest.param([an_endpoint("10.0.0.4", ready=False)], (), id="not-ready"),
    ],
)
def test_which_endpoints_serve(endpoints: list[Obj], targets: tuple[Target, ...]) -> None:
    found = plan([a_service()], [a_slice(*endpoints)], "n1")
    frontend = Frontend(Kind.CLUSTER, "tcp", "10.96.0.7", 80)
    assert found.frontends == {frontend: Backend(targets, masquerade=False)}
    assert found.cluster_addresses == {"10.96.0.7"}


def test_node_ports_and_load_balancers_masquerade_unless_local() -> None:
    service = a_service(type="LoadBalancer", ports=[{"port": 80, "nodePort": 30080}])
    service["status"] = {"loadBalancer": {"ingress": [{"ip": "192.168.49.130"}]}}
    slices = [a_slice(READY, ELSEWHERE)]
    node_port = Frontend(Kind.NODE_PORT, "tcp", "0.0.0.0", 30080)
    external = Frontend(Kind.EXTERNAL, "tcp", "192.168.49.130", 80)
    found = plan([service], slices, "n1").frontends
    assert found[node_port] == found[external] == Backend((ONE, TWO), masquerade=True)
    service["spec"]["externalTrafficPolicy"] = "Local"
    found = plan([service], slices, "n1").frontends
    assert found[node_port] == Backend((ONE,), masquerade=False)


@pytest.mark.parametrize(
    "service",
    [
        pytest.param(a_service(clusterIP="None"), id="headless"),
        pytest.param(a_service(type="ExternalName", clusterIP=""), id="external-name"),
        pytest.param(
            a_service()
            | {"metadata": {"labels": {"service.kubernetes.io/service-proxy-name": "other"}}},
            id="of-another-proxy",
        ),
    ],
)
def test_what_is_not_proxied(service: Obj) -> None:
    assert not plan([service], [], "n1").frontends
