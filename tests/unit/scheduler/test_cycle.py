"""Which node, or why none: one row per plugin and the words users read."""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.scheduler import cycle
from tiphys.scheduler.plugins import image_locality
from unit.controllers.builders import a_node, a_pod
from unit.scheduler.rig import asking, decide, why


def requiring(*expressions: Obj, fields: list[Obj] | None = None) -> dict[str, Any]:
    term: Obj = {"matchExpressions": list(expressions)} if expressions else {}
    if fields:
        term["matchFields"] = fields
    required = {"nodeSelectorTerms": [term]}
    return {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    }


NO_HELP = "no new claims to deallocate, preemption: 0/1 nodes are available: 1 "
HELPLESS = NO_HELP + "Preemption is not helpful for scheduling."
NO_VICTIMS = NO_HELP + "No preemption victims found for incoming pod."
IN_ZONE_A: Obj = {"key": "zone", "operator": "In", "values": ["a"]}


@pytest.mark.parametrize(
    ("pod", "node", "placed", "text"),
    [
        pytest.param(asking(cpu="5"), a_node(), [], f"1 Insufficient cpu. {HELPLESS}", id="never"),
        pytest.param(
            asking(cpu="3"),
            a_node(),
            [asking(cpu="2") | {"spec": asking(cpu="2")["spec"] | {"nodeName": "n1"}}],
            f"1 Insufficient cpu. {NO_VICTIMS}",
            id="full-for-now",
        ),
        pytest.param(
            a_pod(),
            a_node(unschedulable=True),
            [],
            f"1 node(s) were unschedulable. {HELPLESS}",
            id="cordoned",
        ),
        pytest.param(
            a_pod(),
            a_node(taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}]),
            [],
            f"1 node(s) had untolerated taint(s). {HELPLESS}",
            id="tainted",
        ),
        pytest.param(
            a_pod(nodeSelector={"zone": "a"}),
            a_node(labels={"zone": "b"}),
            [],
            f"1 node(s) didn't match Pod's node affinity/selector. {HELPLESS}",
            id="selector",
        ),
        pytest.param(
            a_pod(**requiring(IN_ZONE_A)),
            a_node(),
            [],
            f"1 node(s) didn't match Pod's node affinity/selector. {HELPLESS}",
            id="affinity",
        ),
        pytest.param(
            a_pod(
                **requiring(
                    fields=[{"key": "metadata.name", "operator": "In", "values": ["other"]}]
                )
            ),
            a_node(),
            [],
            f"1 node(s) didn't satisfy plugin(s) [NodeAffinity]. {HELPLESS}",
            id="another-node-by-name",
        ),
        pytest.param(
            a_pod(
                **requiring(
                    fields=[
                        {"key": "metadata.name", "operator": "In", "values": [name]}
                        for name in ("n1", "n2")
                    ]
                )
            ),
            a_node(),
            [],
            f"pod affinity terms conflict. {HELPLESS}",
            id="two-names-at-once",
        ),
    ],
)
def test_why_not(pod: Obj, node: Obj, placed: list[Obj], text: str) -> None:
    assert why(pod, [node], placed) == f"0/1 nodes are available: {text}"


def test_without_nodes() -> None:
    assert why(a_pod(), []).startswith("no nodes available to schedule pods")


def test_reasons_are_counted_over_nodes() -> None:
    nodes = [a_node("a", unschedulable=True), a_node("b"), a_node("c")]
    text = why(asking(cpu="9", memory="1Ti"), nodes)
    assert text.startswith(
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu, "
        "2 Insufficient memory. "
    )


def test_preemption_never_is_said() -> None:
    pod = asking(cpu="5") | {"spec": asking(cpu="5")["spec"] | {"preemptionPolicy": "Never"}}
    assert why(pod, [a_node()]).endswith("preemption: not eligible due to preemptionPolicy=Never.")


def with_port(number: int, **more: str) -> Obj:
    port = {"containerPort": 80, "hostPort": number} | more
    return a_pod(containers=[{"name": "c", "ports": [port]}], node="")


def test_host_ports() -> None:
    placed = with_port(8080)
    placed["spec"]["nodeName"] = "n1"
    placed["metadata"]["uid"] = "other"
    assert "didn't have free ports" in why(with_port(8080), [a_node()], [placed])
    assert decide(with_port(8081), [a_node()], [placed]).node == "n1"
    assert decide(with_port(8080, protocol="UDP"), [a_node()], [placed]).node == "n1"


@pytest.mark.parametrize(
    ("policy", "fits"),
    [
        pytest.param({"restartPolicy": "Always"}, False, id="a-sidecar-keeps-its-port"),
        pytest.param({}, True, id="an-init-container-ends"),
    ],
)
def test_host_ports_of_init_containers(policy: Obj, fits: bool) -> None:
    placed = with_port(8080)
    init = placed["spec"]["containers"][0] | policy
    placed["spec"] |= {"nodeName": "n1", "containers": [], "initContainers": [init]}
    placed["metadata"]["uid"] = "other"
    assert bool(decide(with_port(8080), [a_node()], [placed]).node) is fits


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        pytest.param({"operator": "Exists"}, True, id="everything"),
        pytest.param({"key": "k", "value": "v", "effect": "NoSchedule"}, True, id="equal"),
        pytest.param({"key": "k", "value": "w"}, False, id="other-value"),
        pytest.param({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False, id="effect"),
    ],
)
def test_tolerations(toleration: Obj, fits: bool) -> None:
    node = a_node(taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    assert bool(decide(a_pod(tolerations=[toleration]), [node]).node) is fits


def test_the_emptier_node_is_chosen() -> None:
    busy = asking(cpu="2", memory="4Gi")
    busy["spec"]["nodeName"] = "a"
    busy["metadata"]["uid"] = "busy"
    pod = asking(cpu="1", memory="1Gi")
    for _ in range(5):
        assert decide(pod, [a_node("a"), a_node("b")], [busy]).node == "b"


def test_soft_taints_and_preferences_are_weighed() -> None:
    soft = a_node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}])
    assert decide(a_pod(), [soft, a_node("b")]).node == "b"
    preferred = [{"weight": 10, "preference": {"matchExpressions": [IN_ZONE_A]}}]
    pod = a_pod(
        affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    )
    assert decide(pod, [a_node("a"), a_node("b", labels={"zone": "a"})]).node == "b"


@pytest.mark.parametrize(
    ("image", "name"),
    [("busybox", "busybox:latest"), ("r:5000/a", "r:5000/a:latest"), ("a:1", "a:1")],
)
def test_image_names(image: str, name: str) -> None:
    assert image_locality.normalized_name(image) == name


@pytest.mark.parametrize(("count", "enough"), [(50, 50), (100, 100), (1000, 420), (10000, 500)])
def test_how_many_feasible_nodes_are_enough(count: int, enough: int) -> None:
    assert cycle.nodes_to_find(count) == enough
