"""How many pods a sync creates, and which it deletes."""

import asyncio
from datetime import UTC, datetime

import pytest

from tiphys.api.errors import Forbidden
from tiphys.api.meta import Obj, name_of
from tiphys.controllers.pod_control import pod_from_template, slow_start
from tiphys.controllers.replica_set import (
    BURST_PODS_MAX,
    DELETION_COST,
    plan,
    status_of,
)
from unit.controllers.builders import a_pod, a_replica_set

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def a_costly_pod(name: str, cost: int, *, ready: bool = True) -> Obj:
    pod = a_pod(name, node="n1", ready=ready)
    pod["metadata"]["annotations"] = {DELETION_COST: str(cost)}
    return pod


@pytest.mark.parametrize(
    ("wanted", "active", "create", "delete"),
    [
        pytest.param(3, [a_pod("a")], 2, [], id="too-few"),
        pytest.param(0, [a_pod("a"), a_pod("b")], 0, ["a", "b"], id="scale-to-zero"),
        pytest.param(9999, [], BURST_PODS_MAX, [], id="burst-is-bounded"),
        pytest.param(1, [a_pod("a", node="n1", ready=True), a_pod("b")], 0, ["b"], id="unassigned"),
        pytest.param(
            1,
            [a_pod("a", node="n1", ready=True), a_pod("b", node="n1", phase="Running")],
            0,
            ["b"],
            id="not-ready",
        ),
        pytest.param(1, [a_costly_pod("a", 5), a_costly_pod("b", -5)], 0, ["b"], id="cheaper"),
        pytest.param(
            1,
            [a_costly_pod("a", -5), a_costly_pod("b", 5, ready=False)],
            0,
            ["b"],
            id="not-ready-weighs-more-than-cost",
        ),
    ],
)
def test_plan(wanted: int, active: list[Obj], create: int, delete: list[str]) -> None:
    got = plan(a_replica_set(replicas=wanted), active, active, NOW)
    assert (got.create_count, [name_of(p) for p in got.delete]) == (create, delete)


def test_pods_on_crowded_nodes_go_first() -> None:
    here = [a_pod(n, node="n1", ready=True) for n in ("a", "b")]
    there = a_pod("c", node="n2", ready=True)
    got = plan(a_replica_set(replicas=2), [there, *here], [there, *here], NOW)
    assert name_of(got.delete[0]) in ("a", "b")


def test_a_pod_is_made_from_the_template() -> None:
    pod = pod_from_template(a_replica_set("web-abc"))
    assert pod["metadata"]["generateName"] == "web-abc-"
    assert pod["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] is True
    assert pod["spec"] == {"containers": [{"name": "c", "image": "i"}]}


def test_status_counts_and_remembers_a_failure() -> None:
    active = [a_pod("a", node="n1", ready=True, labels={"app": "x"}), a_pod("b")]
    status = status_of(a_replica_set(), active, 1, ("FailedCreate", "quota"), NOW)
    assert status["replicas"] == 2
    assert status["readyReplicas"] == status["availableReplicas"] == 1
    assert status["terminatingReplicas"] == 1
    assert status["conditions"][0]["reason"] == "FailedCreate"


def test_slow_start_stops_at_the_first_failing_batch() -> None:
    tried = 0

    async def refuse_after_three() -> None:
        nonlocal tried
        tried += 1
        if tried > 3:
            raise Forbidden("exceeded quota")

    created, error = asyncio.run(slow_start([refuse_after_three] * 500))
    assert (created, tried) == (3, 7), "batches of 1, 2 and 4"
    assert error is not None
    assert error.message == "exceeded quota"
