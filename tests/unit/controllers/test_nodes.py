"""Nodes: ranges of pod addresses, taints by condition, eviction, lost pods."""

from datetime import UTC, datetime

import pytest

from tiphys.api.meta import Obj, name_of
from tiphys.controllers import (
    node_ipam,
    node_lifecycle,
    pod_garbage_collector,
    taint_eviction,
    ttl,
)
from unit.controllers.builders import a_node, a_pod

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("taken", "chosen"),
    [
        pytest.param([], "10.244.0.0/24", id="first"),
        pytest.param(["10.244.0.0/24", "10.244.2.0/24"], "10.244.1.0/24", id="gap"),
        pytest.param(["10.244.0.0/16"], None, id="none-left"),
    ],
)
def test_pod_ranges(taken: list[str], chosen: str | None) -> None:
    assert node_ipam.choose("10.244.0.0/16", 24, taken) == chosen


def _with_ready(value: str) -> Obj:
    node = a_node(taints=[{"key": "k", "effect": "NoSchedule"}])
    node["status"]["conditions"] = [{"type": "Ready", "status": value}]
    return node


@pytest.mark.parametrize(
    ("node", "taints"),
    [
        pytest.param(_with_ready("True"), [("k", "NoSchedule")], id="ready-keeps-the-users-taints"),
        pytest.param(
            _with_ready("False"),
            [
                ("k", "NoSchedule"),
                ("node.kubernetes.io/not-ready", "NoExecute"),
                ("node.kubernetes.io/not-ready", "NoSchedule"),
            ],
            id="not-ready",
        ),
        pytest.param(
            _with_ready("Unknown"),
            [
                ("k", "NoSchedule"),
                ("node.kubernetes.io/unreachable", "NoExecute"),
                ("node.kubernetes.io/unreachable", "NoSchedule"),
            ],
            id="unreachable",
        ),
        pytest.param(
            a_node(unschedulable=True),
            [("node.kubernetes.io/unschedulable", "NoSchedule")],
            id="cordoned",
        ),
    ],
)
def test_taints(node: Obj, taints: list[tuple[str, str]]) -> None:
    got = node_lifecycle.wanted_taints(node, "2026-01-02T00:00:00Z")
    assert sorted((t["key"], t["effect"]) for t in got) == taints


def test_a_silent_node_is_unknown_in_everything() -> None:
    status = node_lifecycle.silent_status(a_node(), NOW)
    assert {c["type"]: c["status"] for c in status["conditions"]} == dict.fromkeys(
        node_lifecycle.CONDITIONS, "Unknown"
    )
    ready = status["conditions"][0]
    assert ready["message"] == "Kubelet stopped posting node status."


TAINT: Obj = {
    "key": "node.kubernetes.io/unreachable",
    "effect": "NoExecute",
    "timeAdded": "2026-01-01T23:58:20Z",  # 100 seconds before NOW
}


@pytest.mark.parametrize(
    ("tolerations", "left"),
    [
        pytest.param([], 0.0, id="not-tolerated"),
        pytest.param([{"operator": "Exists"}], None, id="for-ever"),
        pytest.param([{"operator": "Exists", "tolerationSeconds": 300}], 200.0, id="for-a-while"),
        pytest.param([{"operator": "Exists", "tolerationSeconds": 60}], 0.0, id="time-is-up"),
    ],
)
def test_eviction(tolerations: list[Obj], left: float | None) -> None:
    assert taint_eviction.seconds_left(a_pod(tolerations=tolerations), [TAINT], NOW) == left


def test_pods_of_lost_nodes_are_collected() -> None:
    lost = a_pod("lost", node="gone", ready=True)
    fine = a_pod("fine", node="n1", ready=True)
    unscheduled = a_pod("unscheduled", deleting=True)
    changes = pod_garbage_collector.plan([lost, fine, unscheduled], {"n1"}, set())
    assert [name_of(p) for p in changes.orphaned] == ["lost"]
    assert [name_of(p) for p in changes.delete] == ["unscheduled"]


@pytest.mark.parametrize(
    ("phase", "orphaned", "written"),
    [
        pytest.param("Running", True, ("Failed", "DisruptionTarget"), id="orphaned"),
        pytest.param("Pending", False, ("Failed", None), id="unscheduled"),
        pytest.param("Succeeded", True, None, id="finished-stays-as-it-is"),
    ],
)
def test_what_is_said_of_a_collected_pod(
    phase: str, orphaned: bool, written: tuple[str, str | None] | None
) -> None:
    pod = a_pod(phase=phase)
    pod["metadata"]["generation"] = 3
    got = pod_garbage_collector.final_status(pod, "2026-01-02T00:00:00Z", orphaned=orphaned)
    if written is None or got is None:
        assert got is None
        return
    (condition,) = got.get("conditions") or [{}]
    assert (got["phase"], condition.get("type")) == written
    assert got["observedGeneration"] == 3


@pytest.mark.parametrize(
    ("step", "nodes", "seconds"),
    [
        pytest.param(0, 1, 0, id="small"),
        pytest.param(0, 101, 15, id="grown"),
        pytest.param(1, 95, 15, id="no-flapping"),
        pytest.param(1, 89, 0, id="shrunk"),
        pytest.param(0, 5000, 300, id="huge"),
    ],
)
def test_how_long_kubelets_may_use_what_they_read(step: int, nodes: int, seconds: int) -> None:
    assert ttl.STEPS[ttl.next_step(step, nodes)].ttl_seconds == seconds
