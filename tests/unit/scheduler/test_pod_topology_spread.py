"""PodTopologySpread: skew, domains, which nodes count, what is preferred."""

from typing import Any

import pytest

from tiphys.api.labels import from_set
from tiphys.api.meta import Obj
from tiphys.scheduler.plugins.pod_topology_spread import NO_LABEL, REASON
from unit.controllers.builders import a_node, a_pod
from unit.scheduler.rig import decide, decide_on, snapshot_of, why

ZONES = {"n1": "a", "n2": "a", "n3": "b"}
HOSTNAME = "kubernetes.io/hostname"
NODES = [a_node(n, labels={HOSTNAME: n, "zone": z}) for n, z in ZONES.items()]


def spread(key: str = "zone", skew: int = 1, *, soft: bool = False, **more: Any) -> Obj:
    return {
        "topologyKey": key,
        "maxSkew": skew,
        "whenUnsatisfiable": "ScheduleAnyway" if soft else "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
        **more,
    }


def a_web(name: str = "w", node: str = "", *constraints: Obj, **more: Any) -> Obj:
    spec: dict[str, Any] = {"topologySpreadConstraints": list(constraints)} if constraints else {}
    return a_pod(name, node=node, labels={"app": "web", "rev": "1"}, **spec, **more)


def webs(**counts: int) -> list[Obj]:
    return [a_web(f"{node}-{n}", node) for node, count in counts.items() for n in range(count)]


def fitting(pod: Obj, placed: list[Obj], nodes: list[Obj] = NODES) -> set[str]:
    """All nodes that the pod fits: the others are full for it, but count."""
    found = set()
    for node in nodes:
        full = {"allocatable": {"pods": "0"}}
        others = [n if n is node else {**n, "status": full} for n in nodes]
        if name := decide_on(pod, snapshot_of(others, placed)).node:
            found.add(name)
    return found


@pytest.mark.parametrize(
    ("constraints", "placed", "fits"),
    [
        pytest.param([spread()], webs(n1=1), {"n3"}, id="the-emptier-zone"),
        pytest.param([spread(skew=2)], webs(n1=1), {"n1", "n2", "n3"}, id="more-skew"),
        pytest.param([spread(HOSTNAME)], webs(n1=1), {"n2", "n3"}, id="hosts"),
        pytest.param([spread(), spread(HOSTNAME)], webs(n1=1, n3=1), {"n2"}, id="both"),
        pytest.param([spread("rack")], [], set(), id="no-node-has-the-label"),
        pytest.param([spread(minDomains=3)], webs(n1=1, n3=1), set(), id="too-few-domains"),
        pytest.param([spread(minDomains=2)], webs(n1=1, n3=1), {"n1", "n2", "n3"}, id="enough"),
        pytest.param(
            [spread(labelSelector={"matchLabels": {"app": "db"}})],
            webs(n1=3),
            {"n1", "n2", "n3"},
            id="others-do-not-count",
        ),
        pytest.param([spread(soft=True)], webs(n1=5), {"n1", "n2", "n3"}, id="soft"),
        pytest.param(
            [spread(matchLabelKeys=["rev"])],
            [a_pod("old", node="n1", labels={"app": "web", "rev": "0"})],
            {"n1", "n2", "n3"},
            id="another-revision-does-not-count",
        ),
    ],
)
def test_what_is_required(constraints: list[Obj], placed: list[Obj], fits: set[str]) -> None:
    assert fitting(a_web("p", "", *constraints), placed) == fits


def test_pods_on_their_way_out_and_in_other_namespaces_do_not_count() -> None:
    going = a_pod("g", node="n1", labels={"app": "web"}, deleting=True)
    foreign = a_web("f", "n1")
    foreign["metadata"]["namespace"] = "other"
    assert fitting(a_web("p", "", spread()), [going, foreign]) == {"n1", "n2", "n3"}


@pytest.mark.parametrize(
    ("policy", "fits"),
    [
        pytest.param({}, {"n1", "n2"}, id="only-nodes-it-may-go-to-count"),
        pytest.param({"nodeAffinityPolicy": "Ignore"}, set(), id="all-nodes-count"),
    ],
)
def test_the_node_selector_may_count(policy: Obj, fits: set[str]) -> None:
    pod = a_web("p", "", spread(**policy), nodeSelector={"zone": "a"})
    assert fitting(pod, webs(n1=1)) == fits


@pytest.mark.parametrize(
    ("policy", "fits"),
    [
        pytest.param({}, set(), id="a-tainted-node-counts"),
        pytest.param({"nodeTaintsPolicy": "Honor"}, {"n1", "n2"}, id="unless-asked-not-to"),
    ],
)
def test_taints_may_count(policy: Obj, fits: set[str]) -> None:
    tainted = a_node(
        "n3", labels={HOSTNAME: "n3", "zone": "b"}, taints=[{"key": "k", "effect": "NoSchedule"}]
    )
    pod = a_web("p", "", spread(**policy))
    assert fitting(pod, webs(n1=1), [*NODES[:2], tainted]) == fits


def test_why_not() -> None:
    pod = a_web("p", "", spread(minDomains=3))
    assert why(pod, NODES, webs(n1=1, n3=1)) == (
        f"0/3 nodes are available: 3 {REASON}. no new claims to deallocate, preemption:"
        " 0/3 nodes are available: 3 No preemption victims found for incoming pod."
    )
    assert NO_LABEL in why(a_web("p", "", spread("rack")), NODES)


@pytest.mark.parametrize(
    ("constraints", "placed", "node"),
    [
        pytest.param([spread(soft=True)], webs(n1=1, n2=1), "n3", id="zone"),
        pytest.param([spread(HOSTNAME, soft=True)], webs(n1=1, n3=1), "n2", id="host"),
    ],
)
def test_what_is_preferred(constraints: list[Obj], placed: list[Obj], node: str) -> None:
    assert decide(a_web("p", "", *constraints), NODES, placed).node == node


def test_pods_of_a_service_are_spread_by_default() -> None:
    snapshot = snapshot_of(NODES, webs(n1=1, n3=1))
    assert decide_on(a_web("p"), snapshot, from_set({"app": "web"})).node == "n2"
