"""Where daemon pods run, how a new template reaches them, and what the status says."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.api.meta import Obj, at, name_of
from tiphys.controllers import daemon_placement as placing
from tiphys.controllers import daemon_rollout as rolling
from unit.controllers.builders import a_node, a_pod

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}


def a_daemon_set(*, surge: Any = 0, unavailable: Any = 1, **spec: Any) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": "d",
            "namespace": "default",
            "uid": "d",
            "annotations": {placing.GENERATION: "2"},
        },
        "spec": {
            "selector": {"matchLabels": {"app": "x"}},
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
            },
            "template": {
                "metadata": {"labels": {"app": "x"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]} | spec,
            },
        },
    }


def a_daemon_pod(name: str, node: str, *, new: bool = True, **more: Any) -> Obj:
    marks = {placing.HASH_LABEL: "new" if new else "old", placing.GENERATION_LABEL: "2"}
    if not new:
        marks[placing.GENERATION_LABEL] = "1"
    return a_pod(name, node=node, labels={"app": "x"} | marks, **more)


def taint(key: str, effect: str) -> Obj:
    return {"key": key, "effect": effect}


@pytest.mark.parametrize(
    ("spec", "node", "wanted"),
    [
        pytest.param({}, a_node(), (True, True), id="everywhere"),
        pytest.param({"nodeName": "other"}, a_node(), (False, False), id="another-nodes-name"),
        pytest.param({"nodeSelector": {"a": "b"}}, a_node(), (False, False), id="selector"),
        pytest.param(
            {"nodeSelector": {"a": "b"}}, a_node(labels={"a": "b"}), (True, True), id="selected"
        ),
        pytest.param(
            {}, a_node(taints=[taint("k", "NoSchedule")]), (False, True), id="no-schedule"
        ),
        pytest.param({}, a_node(taints=[taint("k", "NoExecute")]), (False, False), id="no-execute"),
        pytest.param({}, a_node(taints=[NOT_READY]), (True, True), id="not-ready-is-tolerated"),
        pytest.param(
            {},
            a_node(taints=[taint("node.kubernetes.io/network-unavailable", "NoSchedule")]),
            (False, True),
            id="no-network",
        ),
        pytest.param(
            {"hostNetwork": True},
            a_node(taints=[taint("node.kubernetes.io/network-unavailable", "NoSchedule")]),
            (True, True),
            id="the-host-network-needs-none",
        ),
        pytest.param(
            {},
            a_node(taints=[taint("k", "PreferNoSchedule")]),
            (True, True),
            id="a-preference-does-not-count",
        ),
    ],
)
def test_placement(spec: Obj, node: Obj, wanted: tuple[bool, bool]) -> None:
    assert placing.placement(a_daemon_set(**spec), node) == wanted


def test_a_pod_is_for_one_node_and_keeps_the_templates_own_tolerations() -> None:
    own = {"key": "mine", "operator": "Exists"}
    daemon_set = a_daemon_set(tolerations=[own])
    template = placing.pod_template(daemon_set, "n1", "h")
    assert placing.node_of({"spec": template["spec"]}) == "n1"
    assert template["spec"]["tolerations"][0] == own
    assert len(template["spec"]["tolerations"]) == 1 + len(placing.TOLERATED)
    assert template["metadata"]["labels"] == {
        "app": "x",
        placing.HASH_LABEL: "h",
        placing.GENERATION_LABEL: "2",
    }
    assert "affinity" not in daemon_set["spec"]["template"]["spec"], "the cache is not changed"


@pytest.mark.parametrize(
    ("pods", "create", "delete"),
    [
        pytest.param([], ["n1"], [], id="none-yet"),
        pytest.param([a_daemon_pod("a", "n1")], [], [], id="there"),
        pytest.param(
            [a_daemon_pod("a", "n1"), a_daemon_pod("b", "n1")], [], ["b"], id="one-too-many"
        ),
        pytest.param([a_daemon_pod("a", "n1", deleting=True)], [], [], id="waits-for-the-last"),
        pytest.param(
            [a_daemon_pod("a", "n1"), a_daemon_pod("b", "gone")], [], [], id="bound-to-a-gone-node"
        ),
    ],
)
def test_plan(pods: list[Obj], create: list[str], delete: list[str]) -> None:
    got = placing.plan(a_daemon_set(), [a_node("n1")], placing.by_node(pods), "new", NOW)
    assert (got.create, [name_of(p) for p in got.delete]) == (create, delete)


def test_failed_pods_are_told_apart_from_finished_ones() -> None:
    pods = [a_daemon_pod("a", "n1", phase="Failed"), a_daemon_pod("b", "n2", phase="Succeeded")]
    nodes = [a_node("n1"), a_node("n2")]
    got = placing.plan(a_daemon_set(), nodes, placing.by_node(pods), "new", NOW)
    assert [(n, name_of(p)) for n, p in got.failed] == [("n1", "a")]
    assert [(n, name_of(p)) for n, p in got.succeeded] == [("n2", "b")]


def test_a_waiting_pod_of_a_gone_node_is_deleted() -> None:
    daemon_set = a_daemon_set()
    waiting = a_daemon_pod("a", "")
    waiting["spec"] = placing.pod_template(daemon_set, "gone", "new")["spec"]
    got = placing.plan(daemon_set, [], placing.by_node([waiting]), "new", NOW)
    assert [name_of(p) for p in got.delete] == ["a"]


def test_status_counts_nodes() -> None:
    nodes = [a_node("n1"), a_node("n2"), a_node("n3", taints=[taint("k", "NoSchedule")])]
    pods = [
        a_daemon_pod("a", "n1", ready=True),
        a_daemon_pod("b", "n2", new=False),
        a_daemon_pod("c", "n3"),
    ]
    got = placing.status_of(a_daemon_set(), nodes, placing.by_node(pods), "new", NOW)
    assert got == {
        "desiredNumberScheduled": 2,
        "currentNumberScheduled": 2,
        "numberMisscheduled": 1,
        "numberReady": 1,
        "numberAvailable": 1,
        "numberUnavailable": 1,
        "updatedNumberScheduled": 1,
    }


NODES = [a_node(f"n{n}") for n in range(1, 5)]


def old_pods(*, ready: int) -> list[Obj]:
    return [
        a_daemon_pod(f"old{n}", f"n{n}", new=False, ready=n <= ready, phase="Running")
        for n in range(1, 5)
    ]


@pytest.mark.parametrize(
    ("unavailable", "pods", "delete"),
    [
        pytest.param(1, old_pods(ready=4), ["old1"], id="one-at-a-time"),
        pytest.param("50%", old_pods(ready=4), ["old1", "old2"], id="a-share"),
        pytest.param("30%", old_pods(ready=4), ["old1", "old2"], id="a-share-is-rounded-up"),
        pytest.param(1, old_pods(ready=3), ["old4"], id="the-unavailable-go-first"),
        pytest.param(1, old_pods(ready=2), ["old3", "old4"], id="all-of-the-unavailable"),
        pytest.param(
            1,
            [a_daemon_pod("new1", "n1"), *old_pods(ready=4)[1:]],
            [],
            id="waits-for-the-new-one",
        ),
        pytest.param(
            1,
            [a_daemon_pod("new1", "n1", ready=True), *old_pods(ready=4)[1:]],
            ["old2"],
            id="goes-on-when-it-is-ready",
        ),
        pytest.param(1, old_pods(ready=4)[1:], [], id="a-node-without-a-pod-counts"),
    ],
)
def test_rolling_with_unavailable(unavailable: Any, pods: list[Obj], delete: list[str]) -> None:
    daemon_set = a_daemon_set(unavailable=unavailable)
    got = rolling.step(daemon_set, NODES, placing.by_node(pods), "new", NOW)
    assert [name_of(p) for p in got.delete] == delete
    assert got.create == ()


@pytest.mark.parametrize(
    ("pods", "create", "delete"),
    [
        pytest.param(old_pods(ready=4), ["n1"], [], id="the-new-one-comes-first"),
        pytest.param(old_pods(ready=3), ["n4", "n1"], [], id="beside-the-unavailable-at-once"),
        pytest.param(
            [*old_pods(ready=4), a_daemon_pod("new1", "n1")], [], [], id="waits-for-the-new-one"
        ),
        pytest.param(
            [*old_pods(ready=4), a_daemon_pod("new1", "n1", ready=True)],
            ["n2"],
            ["old1"],
            id="then-the-old-one-goes",
        ),
    ],
)
def test_rolling_with_surge(pods: list[Obj], create: list[str], delete: list[str]) -> None:
    daemon_set = a_daemon_set(surge=1, unavailable=0)
    got = rolling.step(daemon_set, NODES, placing.by_node(pods), "new", NOW)
    assert (list(got.create), [name_of(p) for p in got.delete]) == (create, delete)


@pytest.mark.parametrize(
    ("surge", "unavailable", "wanted"),
    [
        pytest.param(0, 0, (0, 1), id="something-must-move"),
        pytest.param("25%", 0, (1, 0), id="surge-only"),
        pytest.param(0, "1%", (0, 1), id="rounded-up"),
    ],
)
def test_limits(surge: Any, unavailable: Any, wanted: tuple[int, int]) -> None:
    assert rolling.limits(a_daemon_set(surge=surge, unavailable=unavailable), 4) == wanted


def test_surge_keeps_two_pods_only_while_the_new_one_is_awaited() -> None:
    daemon_set = a_daemon_set(surge=1, unavailable=0)
    old = a_daemon_pod("old1", "n1", new=False, ready=True)
    for ready, gone in ((False, []), (True, ["old1"])):
        placed = placing.by_node([old, a_daemon_pod("new1", "n1", ready=ready)])
        got = placing.plan(daemon_set, [a_node("n1")], placed, "new", NOW)
        assert [name_of(p) for p in got.delete] == gone
    assert at(daemon_set, "spec", "updateStrategy", "type") == "RollingUpdate"
