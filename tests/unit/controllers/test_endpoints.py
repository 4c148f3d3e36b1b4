"""Endpoints and slices of a Service's pods."""

import pytest

from tiphys.api.meta import Obj
from tiphys.controllers import endpoint_slice, endpoints, managed_slices
from unit.controllers.builders import a_pod

NOW = "2026-01-02T00:00:00Z"


def a_service(**spec: object) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default", "uid": "web", "labels": {"l": "v"}},
        "spec": {
            "clusterIP": "10.96.0.7",
            "selector": {"app": "x"},
            "ipFamilies": ["IPv4"],
            "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}],
        }
        | spec,
    }


READY = a_pod("a", node="n1", ready=True, ip="10.9.0.1")
NOT_READY = a_pod("b", node="n1", phase="Running", ip="10.9.0.2")
ENDING = a_pod("c", node="n1", ready=True, ip="10.9.0.3", deleting=True)


def _addresses(service: Obj, pods: list[Obj]) -> tuple[list[str], list[str]]:
    ready, other = [], []
    for subset in endpoints.subsets_of(service, pods):
        ready += [a["ip"] for a in subset.get("addresses", [])]
        other += [a["ip"] for a in subset.get("notReadyAddresses", [])]
    return ready, other


@pytest.mark.parametrize(
    ("service", "pods", "ready", "not_ready"),
    [
        pytest.param(a_service(), [READY, NOT_READY], ["10.9.0.1"], ["10.9.0.2"], id="readiness"),
        pytest.param(a_service(), [ENDING], [], [], id="ending-pods-are-not-listed"),
        pytest.param(
            a_service(publishNotReadyAddresses=True), [NOT_READY], ["10.9.0.2"], [], id="published"
        ),
        pytest.param(a_service(), [a_pod("d")], [], [], id="no-address-yet"),
        pytest.param(
            a_service(ports=[{"port": 80, "targetPort": "http"}]),
            [READY],
            [],
            [],
            id="no-such-port",
        ),
    ],
)
def test_endpoints(service: Obj, pods: list[Obj], ready: list[str], not_ready: list[str]) -> None:
    assert _addresses(service, pods) == (ready, not_ready)


def test_endpoints_are_written_once() -> None:
    made = endpoints.plan(a_service(), [READY], None, NOW)
    assert made is not None
    assert made["metadata"]["labels"]["endpoints.kubernetes.io/managed-by"] == "endpoint-controller"
    assert endpoints.plan(a_service(), [READY], made, "2027-01-01T00:00:00Z") is None


def _conditions(pod: Obj, service: Obj) -> Obj:
    (made,) = endpoint_slice.plan(service, [pod], {}, [], NOW).create
    found: Obj = made["endpoints"][0]["conditions"]
    return found


def test_slice_conditions() -> None:
    assert _conditions(READY, a_service()) == {
        "ready": True,
        "serving": True,
        "terminating": False,
    }
    assert _conditions(ENDING, a_service()) == {
        "ready": False,
        "serving": True,
        "terminating": True,
    }
    assert _conditions(NOT_READY, a_service(publishNotReadyAddresses=True))["ready"] is True


def test_a_service_without_pods_has_one_empty_slice_and_nothing_is_written_twice() -> None:
    first = endpoint_slice.plan(a_service(), [], {}, [], NOW)
    (made,) = first.create
    assert (made["endpoints"], made["ports"]) == ([], None)
    again = endpoint_slice.plan(a_service(), [], {}, [made], NOW)
    assert again == managed_slices.Plan((), (), ())


def test_the_empty_slice_takes_the_first_pod() -> None:
    (empty,) = endpoint_slice.plan(a_service(), [], {}, [], NOW).create
    changes = endpoint_slice.plan(a_service(), [READY], {}, [empty], NOW)
    assert not changes.create
    assert not changes.delete
    assert changes.update[0]["endpoints"][0]["addresses"] == ["10.9.0.1"]
    assert changes.update[0]["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]


def test_slices_hold_a_hundred_endpoints() -> None:
    pods = [
        a_pod(f"p{n}", node="n1", ready=True, ip=f"10.9.{n // 250}.{n % 250 + 1}")
        for n in range(250)
    ]
    changes = endpoint_slice.plan(a_service(), pods, {}, [], NOW)
    assert [len(s["endpoints"]) for s in changes.create] == [100, 100, 50]


def test_a_removed_pod_changes_only_its_slice() -> None:
    pods = [a_pod(f"p{n}", node="n1", ready=True, ip=f"10.9.1.{n + 1}") for n in range(150)]
    made = list(endpoint_slice.plan(a_service(), pods, {}, [], NOW).create)
    changes = endpoint_slice.plan(a_service(), pods[1:], {}, made, NOW)
    assert (len(changes.create), len(changes.update), len(changes.delete)) == (0, 1, 0)
