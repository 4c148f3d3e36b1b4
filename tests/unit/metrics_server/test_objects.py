"""NodeMetrics and PodMetrics as kubectl reads them."""

from datetime import UTC, datetime

import pytest

from tiphys.metrics_server import objects
from tiphys.metrics_server.points import Usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT = NOW.timestamp()
POD = {"metadata": {"name": "p", "namespace": "ns", "labels": {"a": "b"}}}


def test_pod_metrics() -> None:
    used = {"c": Usage(AT - 5, 15.02, 0.25, 4096), "d": Usage(AT - 4, 10, 0.0000015, 1000)}
    assert objects.pod_metrics(POD, used, NOW) == {
        "kind": "PodMetrics",
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": {
            "name": "p",
            "namespace": "ns",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"a": "b"},
        },
        "timestamp": "2025-12-31T23:59:56Z",
        "window": "15.02s",
        "containers": [
            {"name": "c", "usage": {"cpu": "250m", "memory": "4Ki"}},
            {"name": "d", "usage": {"cpu": "1500n", "memory": "1k"}},
        ],
    }


def test_a_table_sums_containers() -> None:
    used = {"c": Usage(AT, 15, 0.25, 4096), "d": Usage(AT, 15, 0.5, 1024)}
    node = objects.node_metrics({"metadata": {"name": "n"}}, Usage(AT, 15, 1, 2048), NOW)
    table = objects.table([objects.pod_metrics(POD, used, NOW), node])
    assert [row["cells"] for row in table["rows"]] == [
        ["p", "750m", "5Ki", "15s"],
        ["n", "1", "2Ki", "15s"],
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(15, "15s"), (15.0204, "15.02s"), (60, "1m0s"), (75.5, "1m15.5s"), (0.25, "0.25s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert objects.duration(seconds) == text
