"""Metrics in the annotations of autoscaling/v1."""

import pytest

from tiphys.api.meta import Obj
from tiphys.apiserver.resources.autoscaling.old_metrics import from_old, to_old

REFERENCE = {"kind": "Service", "name": "s"}


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": "q"},
                    "target": {"type": "AverageValue", "averageValue": "10"},
                },
            },
            {"type": "Pods", "pods": {"metricName": "q", "targetAverageValue": "10"}},
        ),
        (
            {
                "type": "Object",
                "object": {
                    "describedObject": REFERENCE,
                    "metric": {"name": "q", "selector": {"matchLabels": {"a": "b"}}},
                    "target": {"type": "Value", "value": "1"},
                },
            },
            {
                "type": "Object",
                "object": {
                    "target": REFERENCE,
                    "metricName": "q",
                    "selector": {"matchLabels": {"a": "b"}},
                    "targetValue": "1",
                },
            },
        ),
        (
            {
                "type": "Resource",
                "resource": {
                    "name": "memory",
                    "target": {"type": "Utilization", "averageUtilization": 5},
                },
            },
            {"type": "Resource", "resource": {"name": "memory", "targetAverageUtilization": 5}},
        ),
        (
            {
                "type": "External",
                "external": {
                    "metric": {"name": "q"},
                    "target": {"type": "AverageValue", "averageValue": "2"},
                },
            },
            {"type": "External", "external": {"metricName": "q", "targetAverageValue": "2"}},
        ),
    ],
)
def test_metrics_go_both_ways(new: Obj, old: Obj) -> None:
    assert to_old(new, "target") == old
    assert from_old(old, "target") == new


def test_a_usage_has_an_amount_in_the_old_form() -> None:
    new = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 5}}}
    assert to_old(new, "current")["resource"] == {
        "name": "cpu",
        "currentAverageUtilization": 5,
        "currentAverageValue": "0",
    }
