"""Metrics in the annotations of autoscaling/v1."""

from datetime import UTC, datetime

import pytest

from tiphys.api.meta import Obj
from tiphys.apiserver.resources.autoscaling import conversion, old_behavior
from tiphys.apiserver.resources.autoscaling.hpa_cells import metrics
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


BEHAVIOR = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}],
    }
}
OLD_BEHAVIOR = {
    "ScaleUp": {
        "StabilizationWindowSeconds": 0,
        "SelectPolicy": "Max",
        "Policies": [{"Type": "Pods", "Value": 4, "PeriodSeconds": 15}],
        "Tolerance": None,
    },
    "ScaleDown": None,
}


def test_behavior_has_the_names_of_the_internal_type() -> None:
    assert old_behavior.to_old(BEHAVIOR) == OLD_BEHAVIOR
    assert old_behavior.from_old(OLD_BEHAVIOR) == BEHAVIOR
    assert old_behavior.from_old(BEHAVIOR) == BEHAVIOR
    assert old_behavior.from_old({}) is None


def test_the_old_version_shows_what_annotations_hold() -> None:
    notes = {"autoscaling.alpha.kubernetes.io/metrics": '[{"type":"Pods","pods":{}}]', "a": "b"}
    old = {
        "metadata": {"annotations": notes},
        "spec": {"targetCPUUtilizationPercentage": 50, "maxReplicas": 1},
    }
    new = conversion.to_v2(old)
    assert [metric["type"] for metric in new["spec"]["metrics"]] == ["Pods", "Resource"]
    assert new["metadata"]["annotations"] == {"a": "b"}


TARGET = {"target": {"averageValue": "2", "type": "AverageValue"}}


@pytest.mark.parametrize(
    ("kind", "source", "current", "wanted"),
    [
        ("Pods", "pods", None, "<unknown>/2"),
        ("Pods", "pods", {}, "<nil>/2"),
        ("External", "external", {}, "<unknown>/2 (avg)"),
        ("Resource", "resource", {"averageValue": "1"}, "cpu: 1/2"),
        ("Other", "other", None, "<unknown type>"),
    ],
)
def test_cells_of_metrics(kind: str, source: str, current: Obj | None, wanted: str) -> None:
    status = [] if current is None else [{"type": kind, source: {"current": current}}]
    spec = {"metrics": [{"type": kind, source: TARGET | {"name": "cpu"}}]}
    autoscaler = {"spec": spec, "status": {"currentMetrics": status}}
    assert metrics(autoscaler, datetime(2026, 1, 1, tzinfo=UTC)) == wanted
