"""Rollout arithmetic: surge, availability, proportions, revisions."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.api.meta import Obj, name_of
from tiphys.controllers import rollout, rollout_status
from unit.controllers.builders import a_deployment, a_replica_set

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "got"),
    [
        pytest.param(10, "25%", "25%", (3, 2), id="surge-up-unavailable-down"),
        pytest.param(1, "25%", "25%", (1, 0), id="one-replica"),
        pytest.param(3, 0, 0, (0, 1), id="something-must-move"),
        pytest.param(4, 2, "50%", (2, 2), id="numbers-and-percentages"),
        pytest.param(4, 2, f"{'0' * 5_000}50%", (2, 2), id="thousands-of-digits"),
    ],
)
def test_surge_and_unavailable(
    replicas: int, surge: Any, unavailable: Any, got: tuple[int, int]
) -> None:
    deployment = a_deployment(replicas, surge=surge, unavailable=unavailable)
    assert rollout.surge_and_unavailable(deployment) == got


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        pytest.param(a_replica_set("old", 3), None, 1, id="first-step-is-the-surge"),
        pytest.param(a_replica_set("old", 2), a_replica_set("new", 1), 2, id="as-the-old-shrinks"),
        pytest.param(a_replica_set("old", 3), a_replica_set("new", 1), 1, id="limit-reached"),
    ],
)
def test_how_many_new_replicas(old: Obj, new: Obj | None, wanted: int) -> None:
    sets = [old, *([new] if new else [])]
    assert rollout.new_replicas(a_deployment(3), sets, new) == wanted


def test_old_replicas_go_only_when_new_ones_are_available() -> None:
    deployment = a_deployment(3, surge=1, unavailable=0)
    old = a_replica_set("old", 3, available=3)
    waiting = a_replica_set("new", 1, available=0)
    assert rollout.scale_down_old(deployment, [old, waiting], [old], waiting) == []
    ready = a_replica_set("new", 1, available=1)
    (change,) = rollout.scale_down_old(deployment, [old, ready], [old], ready)
    assert (name_of(change.rs), change.count) == ("old", 2)


def test_unavailable_old_replicas_go_first() -> None:
    deployment = a_deployment(3, surge=1, unavailable=0)
    sick = a_replica_set("sick", 2, available=0, created="2026-01-02T00:00:00Z")
    well = a_replica_set("well", 3, available=3)
    new = a_replica_set("new", 1, available=1)
    changes = rollout.scale_down_old(deployment, [sick, well, new], [sick, well], new)
    assert {name_of(c.rs): c.count for c in changes}["sick"] == 0


def test_scaling_in_the_middle_keeps_proportions() -> None:
    deployment = a_deployment(20, surge=0, unavailable=1)
    noted = {rollout.MAX_REPLICAS: "10"}
    sets = [
        a_replica_set("a", 6, annotations=noted),
        a_replica_set("b", 4, annotations=noted),
    ]
    assert rollout.proportions(deployment, sets) == {"a": 12, "b": 8}


def test_history_is_cut_to_its_limit_but_only_empty_sets_go() -> None:
    deployment = a_deployment()
    deployment["spec"]["revisionHistoryLimit"] = 1
    sets = [
        a_replica_set(f"r{n}", 0, observed=0, annotations={rollout.REVISION: str(n)})
        for n in (1, 2, 3)
    ]
    sets[0]["status"]["replicas"] = 1
    assert [name_of(rs) for rs in rollout.to_clean_up(deployment, sets)] == ["r2"]


def test_the_new_set_is_the_one_with_the_same_template() -> None:
    sets = [a_replica_set("a", image="old"), a_replica_set("b", image="i")]
    found = rollout.new_replica_set(a_deployment(), sets)
    assert found is not None
    assert name_of(found) == "b"


def test_annotations_are_copied_but_not_kubectls() -> None:
    deployment = a_deployment()
    deployment["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": "x",
        "example.com/a": "b",
    }
    rs = a_replica_set(annotations={rollout.REVISION: "1"})
    got = rollout.rs_annotations(deployment, rs, 3)
    assert got == {
        "example.com/a": "b",
        rollout.REVISION: "3",
        rollout.REVISION_HISTORY: "1",
    }


def _status(deployment: Obj, sets: list[Obj], new: Obj) -> Obj:
    counted = rollout_status.counted(deployment, sets, new)
    status = rollout_status.with_available(counted, deployment, NOW)
    return rollout_status.with_progress(status, deployment, new, NOW)


def _reasons(status: Obj) -> dict[str, str]:
    return {c["type"]: c["reason"] for c in status["conditions"]}


def test_conditions_follow_the_rollout() -> None:
    deployment = a_deployment(2)
    new = a_replica_set("new", 2, available=1)
    status = _status(deployment, [new], new)
    assert _reasons(status) == {
        "Available": "MinimumReplicasUnavailable",
        "Progressing": "ReplicaSetUpdated",
    }
    new = a_replica_set("new", 2, available=2)
    done = _status({**deployment, "status": status}, [new], new)
    assert _reasons(done) == {
        "Available": "MinimumReplicasAvailable",
        "Progressing": "NewReplicaSetAvailable",
    }
    assert 'ReplicaSet "new" has successfully progressed.' in str(done["conditions"])


def test_a_rollout_that_stands_still_times_out() -> None:
    deployment = a_deployment(2)
    new = a_replica_set("new", 2, available=1)
    first = _status(deployment, [new], new)
    later = NOW.replace(day=3)
    counted = rollout_status.counted({**deployment, "status": first}, [new], new)
    status = rollout_status.with_progress(counted, {**deployment, "status": first}, new, later)
    assert _reasons(status)["Progressing"] == "ProgressDeadlineExceeded"
    assert rollout_status.seconds_to_deadline(deployment, first, NOW) == 601.0
