"""InterPodAffinity: near and away, required and preferred, within namespaces and topologies."""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.scheduler.plugins.inter_pod_affinity import AFFINITY, ANTI_AFFINITY, EXISTING
from unit.controllers.builders import a_node, a_pod
from unit.scheduler.rig import decide, decide_on, snapshot_of, why

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NODES = [
    a_node(name, labels={"host": name, "zone": zone})
    for name, zone in (("n1", "a"), ("n2", "a"), ("n3", "b"))
]


def term(app: str = "web", key: str = "host", **more: Any) -> Obj:
    return {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key, **more}


def towards(*terms: Obj) -> Obj:
    return {"podAffinity": {REQUIRED: list(terms)}}


def away(*terms: Obj) -> Obj:
    return {"podAntiAffinity": {REQUIRED: list(terms)}}


def weighed(kind: str, weight: int, one: Obj) -> Obj:
    return {kind: {PREFERRED: [{"weight": weight, "podAffinityTerm": one}]}}


def a_web(name: str = "w", node: str = "", namespace: str = "default", **spec: Any) -> Obj:
    pod = a_pod(name, node=node, labels={"app": "web"}, **spec)
    pod["metadata"]["namespace"] = namespace
    return pod


def fitting(pod: Obj, placed: list[Obj], namespaces: Any = None) -> set[str]:
    """All nodes that the pod fits."""
    found = set()
    for node in NODES:
        others = [{**n, "spec": {"unschedulable": n is not node}} for n in NODES]
        if name := decide_on(pod, snapshot_of(others, placed, namespaces)).node:
            found.add(name)
    return found


@pytest.mark.parametrize(
    ("affinity", "fits"),
    [
        pytest.param(towards(term()), {"n1"}, id="same-host"),
        pytest.param(towards(term(key="zone")), {"n1", "n2"}, id="same-zone"),
        pytest.param(towards(term(key="rack")), set(), id="no-node-has-the-label"),
        pytest.param(towards(term("db")), set(), id="nobody-matches"),
        pytest.param(towards(term(), term("db")), set(), id="all-terms-on-one-pod"),
        pytest.param(away(term()), {"n2", "n3"}, id="another-host"),
        pytest.param(away(term(key="zone")), {"n3"}, id="another-zone"),
        pytest.param(away(term("db", "zone")), {"n1", "n2", "n3"}, id="nobody-to-avoid"),
        pytest.param(towards(term(namespaces=["other"])), set(), id="elsewhere"),
        pytest.param(towards(term(namespaceSelector={})), {"n1"}, id="every-namespace"),
        pytest.param(
            towards(term(namespaceSelector={"matchLabels": {"team": "x"}})),
            {"n1"},
            id="namespaces-by-label",
        ),
        pytest.param(
            towards(term(namespaceSelector={"matchLabels": {"team": "y"}})),
            set(),
            id="no-such-namespace",
        ),
    ],
)
def test_what_is_required(affinity: Obj, fits: set[str]) -> None:
    namespaces = {"default": {"team": "x"}, "other": {}}
    pod = a_pod(affinity=affinity)
    assert fitting(pod, [a_web(node="n1")], namespaces) == fits


def test_the_first_of_a_group_that_wants_itself_fits_anywhere() -> None:
    first = a_web(affinity=towards(term(key="zone")))
    assert fitting(first, []) == {"n1", "n2", "n3"}
    assert fitting(first, [a_web("other", "n3")]) == {"n3"}
    assert fitting(a_web(affinity=towards(term(key="rack"))), []) == set()


def test_pods_that_are_there_keep_others_away() -> None:
    guarded = a_pod("g", node="n1", affinity=away(term(key="zone")))
    assert fitting(a_web(), [guarded]) == {"n3"}
    assert fitting(a_pod(), [guarded]) == {"n1", "n2", "n3"}
    assert fitting(a_web(namespace="other"), [guarded]) == {"n1", "n2", "n3"}


@pytest.mark.parametrize(
    ("pod", "placed", "reason", "outlook"),
    [
        pytest.param(
            a_pod(affinity=towards(term())),
            [],
            AFFINITY,
            "3 Preemption is not helpful for scheduling",
            id="affinity",
        ),
        pytest.param(
            a_pod(affinity=away(term())),
            [a_web(f"w{n}", f"n{n}") for n in (1, 2, 3)],
            ANTI_AFFINITY,
            "3 No preemption victims found for incoming pod",
            id="anti-affinity",
        ),
        pytest.param(
            a_web(),
            [a_pod(f"g{n}", node=f"n{n}", affinity=away(term())) for n in (1, 2, 3)],
            EXISTING,
            "3 No preemption victims found for incoming pod",
            id="existing",
        ),
    ],
)
def test_why_not(pod: Obj, placed: list[Obj], reason: str, outlook: str) -> None:
    assert why(pod, NODES, placed) == (
        f"0/3 nodes are available: 3 {reason}. no new claims to deallocate, preemption:"
        f" 0/3 nodes are available: {outlook}."
    )


@pytest.mark.parametrize(
    ("pod", "placed", "node"),
    [
        pytest.param(
            a_pod(affinity=weighed("podAffinity", 50, term())), [a_web(node="n2")], "n2", id="near"
        ),
        pytest.param(
            a_pod(affinity=weighed("podAntiAffinity", 50, term(key="zone"))),
            [a_web(node="n2")],
            "n3",
            id="far",
        ),
        pytest.param(
            a_web(),
            [a_pod("g", node="n2", affinity=weighed("podAffinity", 50, term()))],
            "n2",
            id="somebody-wants-it",
        ),
        pytest.param(
            a_web(),
            [a_pod("g", node="n2", affinity=towards(term(key="host")))],
            "n2",
            id="somebody-required-it",
        ),
    ],
)
def test_what_is_preferred(pod: Obj, placed: list[Obj], node: str) -> None:
    assert decide(pod, NODES, placed).node == node
