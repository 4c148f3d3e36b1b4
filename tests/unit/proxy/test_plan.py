"""Services and slices to frontends and targets."""

from typing import Any

import pytest

from support.proxy_lab import a_slice, an_endpoint
from tiphys.api.meta import Obj, ObjectKey
from tiphys.proxy.plan import Backend, Frontend, HealthCheck, Kind, NodeView, Target, plan

NODE = NodeView("n1", ("192.168.49.2",))
CLUSTER = Frontend("tcp", "10.96.0.7", 80)
NODE_PORT = Frontend("tcp", "192.168.49.2", 30080)
BALANCED = Frontend("tcp", "192.168.49.130", 80)
EXTERNAL = Frontend("tcp", "203.0.113.9", 80)


def a_service(**spec: Any) -> Obj:
    """With every kind of address."""
    defaults: Obj = {
        "clusterIP": "10.96.0.7",
        "type": "LoadBalancer",
        "ports": [{"port": 80, "nodePort": 30080}],
        "externalIPs": ["203.0.113.9"],
    }
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": defaults | spec,
        "status": {"loadBalancer": {"ingress": [{"ip": "192.168.49.130"}]}},
    }


READY = an_endpoint("10.0.0.1", ready=True)
ELSEWHERE = an_endpoint("10.0.0.2", node="n2", ready=True)
ENDING = an_endpoint("10.0.0.3", ready=False, serving=True, terminating=True)
ENDING_ELSEWHERE = an_endpoint("10.0.0.5", node="n2", ready=False, serving=True, terminating=True)
GONE = an_endpoint("10.0.0.4", ready=False)
ONE, TWO, THREE, FIVE = (Target(f"10.0.0.{n}", 8080) for n in (1, 2, 3, 5))


def planned(*endpoints: Obj, **spec: Any) -> dict[Frontend, Backend]:
    return dict(plan([a_service(**spec)], [a_slice(*endpoints)], NODE).frontends)


@pytest.mark.parametrize(
    ("endpoints", "targets"),
    [
        pytest.param([READY, ELSEWHERE], (ONE, TWO), id="ready"),
        pytest.param([READY, ENDING], (ONE,), id="ending-ones-are-left-out"),
        pytest.param([ENDING], (THREE,), id="ending-ones-serve-when-no-other-does"),
        pytest.param([GONE], (), id="not-ready"),
        pytest.param([], (), id="none"),
    ],
)
def test_which_endpoints_serve(endpoints: list[Obj], targets: tuple[Target, ...]) -> None:
    found = planned(*endpoints)
    assert found.keys() == {CLUSTER, NODE_PORT, BALANCED, EXTERNAL}
    for frontend, backend in found.items():
        assert backend.targets == targets
        assert backend.near is None
        assert backend.masquerade == (frontend != CLUSTER)
        assert not backend.drop


@pytest.mark.parametrize(
    ("endpoints", "outside", "near", "drop"),
    [
        pytest.param([READY, ELSEWHERE], (ONE,), (ONE, TWO), False, id="those-of-this-node"),
        pytest.param([ELSEWHERE], (), (TWO,), True, id="dropped-when-others-have-some"),
        pytest.param([ELSEWHERE, ENDING], (THREE,), (TWO,), False, id="ending-here-before-none"),
        pytest.param([ENDING_ELSEWHERE], (), (FIVE,), True, id="ending-elsewhere"),
        pytest.param([GONE], (), (), False, id="rejected-when-nobody-has"),
    ],
)
def test_a_local_external_policy(
    endpoints: list[Obj], outside: tuple[Target, ...], near: tuple[Target, ...], drop: bool
) -> None:
    found = planned(*endpoints, externalTrafficPolicy="Local")
    for frontend in (NODE_PORT, BALANCED, EXTERNAL):
        backend = found[frontend]
        assert (backend.targets, backend.near, backend.drop) == (outside, near, drop)
        assert backend.local
        assert not backend.masquerade, "the client is seen"
    assert found[CLUSTER].targets == near
    assert found[CLUSTER].near is None


@pytest.mark.parametrize(
    ("endpoints", "inside", "drop"),
    [
        pytest.param([READY, ELSEWHERE], (ONE,), False, id="those-of-this-node"),
        pytest.param([ELSEWHERE], (), True, id="dropped-when-others-have-some"),
        pytest.param([], (), False, id="rejected-when-nobody-has"),
    ],
)
def test_a_local_internal_policy(
    endpoints: list[Obj], inside: tuple[Target, ...], drop: bool
) -> None:
    found = planned(*endpoints, internalTrafficPolicy="Local")
    assert (found[CLUSTER].targets, found[CLUSTER].drop) == (inside, drop)
    assert len(found[BALANCED].targets) == len(endpoints), "others are not concerned"


@pytest.mark.parametrize(
    ("ranges", "wanted"),
    [
        pytest.param([], (), id="everybody"),
        pytest.param(["10.0.0.0/8"], ("10.0.0.0/8",), id="one"),
        pytest.param([" 10.1.0.0/16 ", "10.0.0.0/8"], ("10.0.0.0/8",), id="padded-and-overlapping"),
        pytest.param(["10.1.2.3/8", "fd00::/8"], ("10.0.0.0/8",), id="host-bits-and-ipv6"),
    ],
)
def test_source_ranges(ranges: list[str], wanted: tuple[str, ...]) -> None:
    found = planned(READY, loadBalancerSourceRanges=ranges)
    assert found[BALANCED].sources == wanted
    assert not found[CLUSTER].sources + found[NODE_PORT].sources + found[EXTERNAL].sources


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        pytest.param({}, 0, id="none"),
        pytest.param({"sessionAffinity": "None"}, 0, id="said-to-be-none"),
        pytest.param({"sessionAffinity": "ClientIP"}, 10800, id="three-hours"),
        pytest.param(
            {
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}},
            },
            5,
            id="as-said",
        ),
    ],
)
def test_affinity(spec: Obj, seconds: int) -> None:
    assert {b.sticky_seconds for b in planned(READY, **spec).values()} == {seconds}


@pytest.mark.parametrize(
    ("endpoints", "spec", "checks"),
    [
        pytest.param([READY, ELSEWHERE, ENDING], {}, 1, id="ready-ones-of-this-node"),
        pytest.param([ELSEWHERE], {}, 0, id="none-here"),
        pytest.param([READY], {"externalTrafficPolicy": "Cluster"}, None, id="another-policy"),
        pytest.param([READY], {"type": "NodePort"}, None, id="no-load-balancer"),
        pytest.param([READY], {"healthCheckNodePort": 0}, None, id="no-port"),
    ],
)
def test_health_checks(endpoints: list[Obj], spec: Obj, checks: int | None) -> None:
    local = {"externalTrafficPolicy": "Local", "healthCheckNodePort": 32000}
    found = plan([a_service(**(local | spec))], [a_slice(*endpoints)], NODE).health_checks
    wanted = () if checks is None else (HealthCheck(ObjectKey("default", "web"), 32000, checks),)
    assert found == wanted


def test_serving_and_hairpin() -> None:
    nowhere = {"addresses": ["10.0.0.9"]}
    backend = planned(READY, ELSEWHERE, ENDING, GONE, nowhere)[CLUSTER]
    assert backend.serving == (ONE, TWO, THREE, Target("10.0.0.9", 8080))
    assert set(backend.hairpin) == {"10.0.0.1", "10.0.0.3", "10.0.0.4", "10.0.0.9"}


def test_ports_are_matched_by_name_and_protocol() -> None:
    ports = [
        {"name": "a", "port": 80, "protocol": "TCP"},
        {"name": "b", "port": 81, "protocol": "TCP"},
        {"name": "c", "port": 80, "protocol": "UDP"},
        {"name": "d", "port": 82, "protocol": "SCTP"},
    ]
    offered: list[Obj] = [
        {"name": "a", "port": 1000, "protocol": "TCP"},
        {"name": "c", "port": 2000, "protocol": "UDP"},
    ]
    service = a_service(type="ClusterIP", externalIPs=[], ports=ports)
    found = plan([service], [a_slice(READY, ports=offered)], NODE).frontends
    assert {f: [t.port for t in b.targets] for f, b in found.items()} == {
        Frontend("tcp", "10.96.0.7", 80): [1000],
        Frontend("tcp", "10.96.0.7", 81): [],
        Frontend("udp", "10.96.0.7", 80): [2000],
    }


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
    assert not plan([service], [], NODE).frontends


def test_a_balancer_that_proxies_itself_is_passed_by() -> None:
    service = a_service()
    service["status"]["loadBalancer"]["ingress"][0]["ipMode"] = "Proxy"
    assert BALANCED not in plan([service], [a_slice(READY)], NODE).frontends


def test_of_two_services_with_one_external_address_the_first_by_name_has_it() -> None:
    other = a_service(clusterIP="10.96.0.8", type="ClusterIP", ports=[{"port": 80}])
    other["metadata"]["name"] = "another"
    found = plan([a_service(), other], [a_slice(READY)], NODE).frontends
    assert found[EXTERNAL].service == "default/another:"
    assert found[EXTERNAL].kind is Kind.EXTERNAL
