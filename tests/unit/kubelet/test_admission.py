"""Which pods a node refuses, in upstream's words."""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.kubelet.admission import refusal
from unit.kubelet.builders import a_container, a_pod

NODE = {"metadata": {"name": "n", "labels": {"zone": "a", "size": "5"}}}
ALLOCATABLE = {"cpu": "2", "memory": "1Gi", "pods": "110"}


def asking(**requests: str) -> Obj:
    return a_container(resources={"requests": requests})


def affinity(*expressions: Obj) -> dict[str, Any]:
    term = {"matchExpressions": list(expressions)}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": required}}


def port(number: int) -> Obj:
    return a_container(ports=[{"containerPort": 80, "hostPort": number}])


def other(container: Obj) -> Obj:
    pod = a_pod(container)
    return pod | {"metadata": pod["metadata"] | {"uid": "u2"}}


@pytest.mark.parametrize(
    ("pod", "others", "wanted"),
    [
        (a_pod(), [], None),
        (
            a_pod(asking(cpu="1000")),
            [other(asking(cpu="200m"))],
            (
                "OutOfcpu",
                "Node didn't have enough resource: cpu, requested: 1000000, "
                "used: 200, capacity: 2000",
            ),
        ),
        (
            a_pod(asking(memory="2Gi")),
            [],
            (
                "OutOfmemory",
                "Node didn't have enough resource: memory, requested: 2147483648, "
                "used: 0, capacity: 1073741824",
            ),
        ),
        (
            a_pod(nodeSelector={"o": "none"}),
            [],
            (
                "NodeAffinity",
                "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
            ),
        ),
        (
            a_pod(port(31987)),
            [other(port(31987))],
            (
                "NodePorts",
                "Predicate NodePorts failed: "
                "node(s) didn't have free ports for the requested pod ports",
            ),
        ),
        (a_pod(port(1)), [other(port(2))], None),
        (
            a_pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
            [],
            ("SysctlForbidden", 'forbidden sysctl: "kernel.msgmax" not allowlisted'),
        ),
        (
            a_pod(securityContext={"sysctls": [{"name": "kernel/shm_rmid_forced"}]}),
            [],
            None,
        ),
    ],
    ids=["fits", "cpu", "memory", "selector", "port", "other port", "sysctl", "safe sysctl"],
)
def test_refusal(pod: Obj, others: list[Obj], wanted: tuple[str, str] | None) -> None:
    verdict = refusal(pod, NODE, others, ALLOCATABLE)
    assert (verdict and (verdict.reason, verdict.message)) == wanted


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ({"key": "zone", "operator": "In", "values": ["a"]}, True),
        ({"key": "zone", "operator": "NotIn", "values": ["a"]}, False),
        ({"key": "zone", "operator": "Exists"}, True),
        ({"key": "x", "operator": "DoesNotExist"}, True),
        ({"key": "size", "operator": "Gt", "values": ["4"]}, True),
        ({"key": "size", "operator": "Lt", "values": ["4"]}, False),
    ],
)
def test_node_affinity(expression: Obj, fits: bool) -> None:
    verdict = refusal(a_pod(**affinity(expression)), NODE, [], ALLOCATABLE)
    assert (verdict is None) is fits
