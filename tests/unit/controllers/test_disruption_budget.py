"""How many pods may go."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tiphys.api.meta import Obj, name_of, rfc3339
from tiphys.controllers import disruption_budget as budgets
from unit.controllers.builders import a_pod

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def a_budget(status: Obj | None = None, **spec: Any) -> Obj:
    return {
        "metadata": {"name": "b", "namespace": "default", "generation": 2},
        "spec": spec,
        "status": status or {},
    }


@pytest.mark.parametrize(
    ("spec", "healthy", "expected", "desired", "allowed"),
    [
        pytest.param({"minAvailable": 1}, 2, 3, 1, 1, id="min"),
        pytest.param({"minAvailable": 5}, 3, 3, 5, 0, id="more-than-there-are"),
        pytest.param({"minAvailable": "50%"}, 3, 3, 2, 1, id="a-share-is-rounded-up"),
        pytest.param({"minAvailable": "100%"}, 3, 3, 3, 0, id="all"),
        pytest.param({"maxUnavailable": 1}, 3, 3, 2, 1, id="max"),
        pytest.param({"maxUnavailable": 9}, 3, 3, 0, 3, id="more-than-all"),
        pytest.param({"maxUnavailable": "1%"}, 3, 3, 2, 1, id="at-least-one"),
        pytest.param({"maxUnavailable": 1}, 0, 0, 0, 0, id="no-pods-none-may-go"),
    ],
)
def test_allowed(spec: Obj, healthy: int, expected: int, desired: int, allowed: int) -> None:
    got = budgets.status_of(a_budget(**spec), healthy=healthy, expected=expected, going={}, now=NOW)
    assert (got["desiredHealthy"], got["disruptionsAllowed"]) == (desired, allowed)
    (condition,) = got["conditions"]
    assert condition["status"] == str(allowed > 0)
    assert condition["reason"] == ("SufficientPods" if allowed else "InsufficientPods")
    assert got["observedGeneration"] == 2


def test_pods_that_are_going_are_not_healthy_until_it_is_overdue() -> None:
    noted = {
        "soon": rfc3339(NOW - timedelta(seconds=30)),
        "late": rfc3339(NOW - timedelta(minutes=3)),
        "gone": rfc3339(NOW),
        "ending": rfc3339(NOW),
    }
    pods = [
        a_pod("soon", ready=True),
        a_pod("late", ready=True),
        a_pod("ending", ready=True, deleting=True),
        a_pod("well", ready=True),
    ]
    got = budgets.disrupted(a_budget({"disruptedPods": noted}), pods, NOW)
    assert list(got.pods) == ["soon"]
    assert [name_of(p) for p in got.overdue] == ["late"]
    assert got.again_seconds == 90.0
    assert budgets.healthy_count(pods, got.pods) == 2


def test_a_condition_keeps_its_time_while_it_says_the_same() -> None:
    first = budgets.status_of(a_budget(minAvailable=1), healthy=2, expected=2, going={}, now=NOW)
    later = NOW + timedelta(hours=1)
    budget = a_budget(first, minAvailable=1)
    same = budgets.status_of(budget, healthy=3, expected=3, going={}, now=later)
    assert same["conditions"][0]["lastTransitionTime"] == rfc3339(NOW)
    other = budgets.status_of(budget, healthy=1, expected=3, going={}, now=later)
    assert other["conditions"][0]["lastTransitionTime"] == rfc3339(later)


def test_nothing_may_go_when_the_owner_is_not_known() -> None:
    got = budgets.failed_status(a_budget({"disruptionsAllowed": 3}), "why", NOW)
    assert got["disruptionsAllowed"] == 0
    assert (got["conditions"][0]["reason"], got["conditions"][0]["message"]) == (
        "SyncFailed",
        "why",
    )


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        pytest.param({}, 120.0, id="from-the-condition-on"),
        pytest.param({"status": "False"}, None, id="taken-back-already"),
        pytest.param({"reason": "TerminationByKubelet"}, None, id="of-the-kubelet"),
    ],
)
def test_a_disruption_that_did_not_happen_is_taken_back(condition: Obj, left: float | None) -> None:
    pod = a_pod("p", ready=True)
    made = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": rfc3339(NOW)}
    pod["status"]["conditions"].append(made | condition)
    assert budgets.seconds_to_stale(pod, NOW) == left
    assert budgets.seconds_to_stale(pod | {"metadata": {"deletionTimestamp": "x"}}, NOW) is None
