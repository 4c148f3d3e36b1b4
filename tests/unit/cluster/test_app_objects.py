"""What `tiphys run` makes in the cluster, and when a program serves."""

from typing import Any

import pytest

from tiphys.cluster.app_objects import deployment, failure, is_ours, is_ready, serves_only, service
from tiphys.cluster.listening import Port, parse


def test_the_service_selects_every_revision_of_the_deployment() -> None:
    made = deployment("a", "n", "docker.io/tiphys-run/a:123", {"PORT": "8080"})
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert service("a", "n", 80)["spec"]["selector"].items() <= labels.items()
    assert made["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels["tiphys.io/revision"] == "123-8080"
    assert is_ours(made)
    assert not is_ours({"metadata": {"name": "a"}})


def a_pod(**status: Any) -> dict[str, Any]:
    return {"status": {"containerStatuses": [status]}}


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        ({}, ""),
        (a_pod(state={"running": {}}), ""),
        (a_pod(state={"waiting": {"reason": "ContainerCreating"}}), ""),
        (a_pod(state={"terminated": {"exitCode": 3}}), "the program ended with exit code 3"),
        (
            a_pod(state={"running": {}}, lastState={"terminated": {"exitCode": 0}}),
            "the program ended with exit code 0",
        ),
        (
            a_pod(state={"waiting": {"reason": "ErrImagePull", "message": "no"}}),
            "ErrImagePull: no",
        ),
    ],
)
def test_why_a_pod_will_not_serve(pod: dict[str, Any], why: str) -> None:
    assert failure(pod) == why


def test_readiness_and_endpoints() -> None:
    assert is_ready({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    assert not is_ready({"status": {}})

    def slices(*names: str) -> dict[str, Any]:
        rows = [{"targetRef": {"name": n}, "conditions": {"ready": True}} for n in names]
        return {"items": [{"endpoints": rows}]}

    assert serves_only(slices("new"), "new")
    assert not serves_only(slices("new", "old"), "new")
    assert not serves_only({"items": []}, "new")


def test_listening_ports() -> None:
    head = "  sl  local_address rem_address   st\n"
    four = head + "   0: 0100007F:1F90 00000000:0000 0A\n   1: 00000000:0050 00000000:0000 0A\n"
    six = head + "   0: " + "0" * 32 + ":1F91 " + "0" * 32 + ":0000 0A\n"
    open_one = head + "   0: 0100007F:1F90 0100007F:9999 01\n"
    assert parse([four]) == [Port(80, False), Port(8080, True)]
    assert parse([four, six])[-1] == Port(8081, False)
    assert parse([open_one]) == []
