"""DefaultPreemption: who must go, from which node, and when nobody does."""

from typing import Any

import pytest

from tiphys.api.meta import Obj, name_of
from tiphys.scheduler.cache import Cache
from tiphys.scheduler.framework import PodInfo
from tiphys.scheduler.plugins.default_preemption import Preemption, may_help
from unit.controllers.builders import a_node, a_pod
from unit.scheduler.rig import asking, decide, decide_on, preempt, snapshot_of, why

HIGH = 100
NODE = a_node("n1")  # 4 CPUs
BOTH = [a_node("n1"), a_node("n2")]


def a_victim(
    name: str, cpu: str = "2", *, node: str = "n1", priority: int = 0, start: str = ""
) -> Obj:
    pod = asking(name, node, priority, cpu=cpu)
    pod["metadata"]["labels"] = {"app": name}
    if start:
        pod["status"]["startTime"] = f"2026-01-01T00:00:{start}Z"
    return pod


def a_budget(app: str, allowed: int, **status: Any) -> Obj:
    return {
        "metadata": {"name": app, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": app}}},
        "status": {"disruptionsAllowed": allowed, **status},
    }


def shown(found: Preemption) -> tuple[str, list[str]]:
    """The node and the victims' names."""
    assert found.candidate is not None, found.text
    return found.candidate.node, [name_of(v.pod) for v in found.candidate.victims]


@pytest.mark.parametrize(
    ("cpu", "placed", "victims"),
    [
        pytest.param("2", [a_victim("a"), a_victim("b", priority=5)], ["a"], id="the-least"),
        pytest.param(
            "2",
            [a_victim("old", start="01"), a_victim("young", start="09")],
            ["young"],
            id="the-youngest",
        ),
        pytest.param(
            "4", [a_victim("a"), a_victim("b", priority=5)], ["b", "a"], id="all-important-first"
        ),
        pytest.param(
            "2",
            [a_victim("big", "3"), a_victim("small", "1")],
            ["big"],
            id="as-few-as-it-takes",
        ),
        pytest.param(
            "2", [a_victim("equal", priority=HIGH), a_victim("less")], ["less"], id="never-an-equal"
        ),
    ],
)
def test_who_goes(cpu: str, placed: list[Obj], victims: list[str]) -> None:
    pod = asking(priority=HIGH, cpu=cpu)
    assert shown(preempt(pod, snapshot_of([NODE], placed))) == ("n1", victims)


@pytest.mark.parametrize(
    ("budgets", "victims"),
    [
        pytest.param([a_budget("a", 0)], ["b"], id="kept-by-its-budget"),
        pytest.param([a_budget("a", 1)], ["a"], id="the-budget-allows-one"),
        pytest.param([a_budget("a", 0, disruptedPods={"a": "t"})], ["a"], id="counted-already"),
        pytest.param([a_budget("a", 0), a_budget("b", 0)], ["a"], id="broken-where-it-must-be"),
    ],
)
def test_budgets(budgets: list[Obj], victims: list[str]) -> None:
    placed = [a_victim("a"), a_victim("b", priority=5)]
    pod = asking(priority=HIGH, cpu="2")
    assert shown(preempt(pod, snapshot_of([NODE], placed), budgets))[1] == victims


@pytest.mark.parametrize(
    ("placed", "budgets", "node"),
    [
        pytest.param(
            [a_victim("a", "4"), a_victim("b", "4", node="n2", priority=5)],
            [a_budget("a", 0)],
            "n2",
            id="fewest-broken-budgets",
        ),
        pytest.param(
            [a_victim("a", "4", priority=5), a_victim("b", "4", node="n2")],
            [],
            "n2",
            id="least-important",
        ),
        pytest.param(
            [
                *(a_victim(f"a{n}", "2", priority=-1) for n in range(2)),
                a_victim("b", "4", node="n2", priority=-1),
            ],
            [],
            "n2",
            id="fewest",
        ),
        pytest.param(
            [a_victim("a", "4", start="01"), a_victim("b", "4", node="n2", start="09")],
            [],
            "n2",
            id="youngest",
        ),
    ],
)
def test_which_node(placed: list[Obj], budgets: list[Obj], node: str) -> None:
    pod = asking(priority=HIGH, cpu="4")
    assert shown(preempt(pod, snapshot_of(BOTH, placed), budgets))[0] == node


@pytest.mark.parametrize(
    ("pod", "placed", "text"),
    [
        pytest.param(
            asking(priority=HIGH, cpu="5"),
            [a_victim("a")],
            "0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
            id="too-big",
        ),
        pytest.param(
            asking(cpu="4"),
            [a_victim("a")],
            "0/1 nodes are available: 1 No preemption victims found for incoming pod.",
            id="nobody-matters-less",
        ),
        pytest.param(
            asking(priority=HIGH, cpu="4"),
            [a_victim("a", priority=HIGH), a_victim("b")],
            "0/1 nodes are available: 1 Insufficient cpu.",
            id="not-enough-would-go",
        ),
    ],
)
def test_why_nobody_goes(pod: Obj, placed: list[Obj], text: str) -> None:
    assert why(pod, [NODE], placed).endswith(f"no new claims to deallocate, preemption: {text}")


def test_who_was_promised_a_node_waits_for_its_victims() -> None:
    going = a_victim("a", "4")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    mark = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    going["status"]["conditions"] = [mark]
    pod = asking(priority=HIGH, cpu="4")
    pod["status"]["nominatedNodeName"] = "n1"
    found = preempt(pod, snapshot_of([NODE], [going]))
    text = "preemption: not eligible due to a terminating pod on the nominated node."
    assert (found.text, found.is_waiting) == (text, True)


def test_a_pod_goes_where_room_was_made_for_it_and_others_leave_it_the_room() -> None:
    pod = asking("p", priority=HIGH, cpu="4")
    cache = Cache()
    for node in BOTH:
        cache.set_node(node)
    cache.nominate(PodInfo(pod), "n1")
    lesser, better = asking("lesser", cpu="1"), asking("better", priority=HIGH + 1, cpu="4")
    for _ in range(3):
        assert decide_on(lesser, cache.snapshot()).node == "n2"
    assert decide(better, [NODE]).node == "n1"
    pod["status"]["nominatedNodeName"] = "n1"
    for _ in range(3):
        assert decide_on(pod, cache.snapshot()).node == "n1"
    cache.set_pod({**pod, "spec": {**pod["spec"], "nodeName": "n2"}})
    assert decide_on(lesser, cache.snapshot()).node == "n1"


def test_a_lesser_pod_loses_the_room_it_waited_for() -> None:
    cache = Cache()
    cache.set_node(NODE)
    cache.set_pod(a_victim("a", "4"))
    cache.nominate(PodInfo(asking("mid", priority=50, cpu="4")), "n1")
    found = preempt(asking(priority=HIGH, cpu="4"), cache.snapshot())
    assert [name_of(info.pod) for info in found.displaced] == ["mid"]


def test_victims_free_what_they_keep_away() -> None:
    """Anti-affinity of a lesser pod, which only its going ends."""
    terms = [{"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "host"}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    guard = a_pod("g", node="n1", affinity={"podAntiAffinity": required})
    pod = a_pod("w", labels={"app": "web"}, priority=HIGH)
    node = a_node("n1", labels={"host": "n1"})
    assert shown(preempt(pod, snapshot_of([node], [guard]))) == ("n1", ["g"])


def test_budgets_are_asked_for_only_when_somebody_may_go() -> None:
    def asked(pod: Obj) -> bool:
        snapshot = snapshot_of([NODE], [a_victim("a", "4")])
        diagnosis = decide_on(pod, snapshot).diagnosis
        assert diagnosis is not None
        return may_help(PodInfo(pod), snapshot, diagnosis)

    assert asked(asking(priority=HIGH, cpu="4"))
    assert not asked(asking(cpu="4"))
    assert not asked(asking(priority=HIGH, cpu="5"))
