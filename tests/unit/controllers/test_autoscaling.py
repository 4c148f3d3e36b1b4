"""Replicas from metrics, and what bounds, windows and rates make of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.controllers import replica_calculator as calculator
from tiphys.controllers.replica_calculator import CalculationError, Usage
from tiphys.controllers.scaling_behavior import Bounds, History, Moment, normalize
from unit.controllers.builders import a_pod

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def a_measured_pod(name: str, *, cpu: str | None = "1", **more: Any) -> Obj:
    """Ready since long; requests one cpu."""
    requests = {"requests": {"cpu": cpu}} if cpu else {}
    more.setdefault("ready", True)
    pod = a_pod(name, containers=[{"name": "c", "resources": requests}], **more)
    pod["status"]["startTime"] = "2025-12-31T00:00:00Z"
    return pod


def usages(**millis: int) -> dict[str, Usage]:
    return {name: Usage(value, NOW) for name, value in millis.items()}


ABC = [a_measured_pod(n) for n in "abc"]
STARTING = a_measured_pod("c", phase="Pending", ready=False)


@pytest.mark.parametrize(
    ("used", "pods", "target", "replicas"),
    [
        pytest.param(usages(a=500, b=500, c=500), ABC, 50, 3, id="on-target"),
        pytest.param(usages(a=540, b=540, c=540), ABC, 50, 3, id="within-the-tolerance"),
        pytest.param(usages(a=1000, b=1000, c=1000), ABC, 50, 6, id="twice-the-target"),
        pytest.param(usages(a=100, b=100, c=100), ABC, 50, 1, id="down"),
        pytest.param(usages(a=1000, b=1000), ABC, 50, 4, id="a-missing-one-counts-as-idle-when-up"),
        pytest.param(usages(a=100, b=100), ABC, 50, 3, id="a-missing-one-counts-as-busy-when-down"),
        pytest.param(
            usages(a=1000, b=1000, c=1000), [*ABC[:2], STARTING], 50, 4, id="unready-counts-as-idle"
        ),
    ],
)
def test_by_utilization(
    used: dict[str, Usage], pods: list[Obj], target: int, replicas: int
) -> None:
    got = calculator.by_utilization(3, target, used, pods, "cpu", "", NOW)
    assert got.replicas == replicas


def test_the_measured_share_is_told() -> None:
    got = calculator.by_utilization(3, 50, usages(a=300, b=600, c=900), ABC, "cpu", "", NOW)
    assert (got.percent, got.average_millis) == (60, 600)


@pytest.mark.parametrize(
    ("used", "pods", "text"),
    [
        pytest.param({}, [], "no pods returned by selector", id="no-pods"),
        pytest.param({}, ABC, "did not receive metrics for targeted pods", id="no-metrics"),
        pytest.param(
            usages(a=1), [a_measured_pod("a", cpu=None)], "missing request for cpu", id="no-request"
        ),
    ],
)
def test_no_number(used: dict[str, Usage], pods: list[Obj], text: str) -> None:
    with pytest.raises(CalculationError, match=text):
        calculator.by_utilization(1, 50, used, pods, "cpu", "", NOW)


def test_by_average_and_by_value() -> None:
    used = usages(a=20_000, b=20_000, c=20_000)
    assert calculator.by_average(3, 10_000, used, ABC, "hits", NOW).replicas == 6
    assert calculator.by_value(3, 10_000, 20_000, ABC).replicas == 6
    assert calculator.by_value(3, 10_000, 10_500, ABC).replicas == 3
    assert calculator.by_value_per_pod(3, 10_000, 95_000).replicas == 10


def test_a_pod_that_starts_is_not_trusted_before_it_was_measured_while_ready() -> None:
    young = a_measured_pod("a")
    young["status"]["startTime"] = "2026-01-01T23:59:00Z"
    young["status"]["conditions"][0]["lastTransitionTime"] = "2026-01-01T23:59:30Z"
    with pytest.raises(CalculationError):
        calculator.by_utilization(1, 50, usages(a=2000), [young], "cpu", "", NOW)


def ago(seconds: int, replicas: int) -> Moment:
    return Moment(NOW - timedelta(seconds=seconds), replicas)


@pytest.mark.parametrize(
    ("current", "desired", "past", "replicas", "limited"),
    [
        pytest.param(2, 3, [], 3, "DesiredWithinRange", id="as-asked"),
        pytest.param(2, 9, [], 4, "ScaleUpLimit", id="at-most-twice"),
        pytest.param(6, 11, [], 10, "TooManyReplicas", id="not-above-the-most"),
        pytest.param(2, 0, [], 1, "TooFewReplicas", id="not-below-the-least"),
        pytest.param(5, 2, [ago(200, 5)], 5, "DesiredWithinRange", id="a-recent-peak-holds"),
        pytest.param(5, 2, [ago(301, 5)], 2, "DesiredWithinRange", id="an-old-one-does-not"),
    ],
)
def test_without_behavior(
    current: int, desired: int, past: list[Moment], replicas: int, limited: str
) -> None:
    got = normalize(None, current, desired, Bounds(1, 10), History(past), NOW)
    assert (got.replicas, got.limited[0]) == (replicas, limited)


def behavior(up: Obj | None = None, down: Obj | None = None) -> Obj:
    usual = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max"}
    percent = {"type": "Percent", "value": 100, "periodSeconds": 60}
    return {
        "scaleUp": usual | {"policies": [percent]} | (up or {}),
        "scaleDown": usual | {"policies": [percent]} | (down or {}),
    }


ONE_POD = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}


@pytest.mark.parametrize(
    ("rules", "current", "desired", "history", "replicas", "limited"),
    [
        pytest.param(behavior(), 4, 20, History(), 8, "ScaleUpLimit", id="doubles"),
        pytest.param(behavior(up=ONE_POD), 4, 9, History(), 5, "ScaleUpLimit", id="one-pod"),
        pytest.param(
            behavior(up=ONE_POD),
            5,
            9,
            History(ups=[ago(30, 1)]),
            5,
            "ScaleUpLimit",
            id="the-period-is-spent",
        ),
        pytest.param(
            behavior(down=ONE_POD), 5, 1, History(), 4, "ScaleDownLimit", id="one-pod-down"
        ),
        pytest.param(
            behavior(down={"selectPolicy": "Disabled"}),
            5,
            1,
            History(),
            5,
            "ScaleDownLimit",
            id="never-down",
        ),
        pytest.param(
            behavior(up={"stabilizationWindowSeconds": 60}),
            2,
            4,
            History([ago(30, 2)]),
            2,
            "DesiredWithinRange",
            id="a-window-upwards",
        ),
        pytest.param(behavior(), 8, 40, History(), 10, "TooManyReplicas", id="the-most"),
    ],
)
def test_with_behavior(
    rules: Obj, current: int, desired: int, history: History, replicas: int, limited: str
) -> None:
    got = normalize(rules, current, desired, Bounds(1, 10), history, NOW)
    assert (got.replicas, got.limited[0]) == (replicas, limited)


def test_what_holds_a_change_back_is_told() -> None:
    got = normalize(None, 5, 2, Bounds(1, 10), History([ago(10, 5)]), NOW)
    assert got.stabilized[0] == "ScaleDownStabilized"
    assert not got.is_limited
    got = normalize(None, 5, 5, Bounds(1, 10), History(), NOW)
    assert got.stabilized[0] == "ReadyForNewScale"
