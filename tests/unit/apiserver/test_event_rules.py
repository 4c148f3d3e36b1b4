"""Events through events.k8s.io: what may change of one."""

from typing import Any

import pytest

from tiphys.apiserver.resources.events.event import EVENT

OLD: dict[str, Any] = {
    "metadata": {"name": "e", "namespace": "n"},
    "eventTime": "2020-01-01T00:00:00.000000Z",
    "regarding": {"kind": "Pod", "name": "p", "namespace": "n"},
    "note": "n",
    "reportingController": "o.test/c",
}
SERIES = {"count": 2, "lastObservedTime": "2020-01-01T00:00:01.000000Z"}


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({}, []),
        ({"series": SERIES}, []),
        ({"series": {"count": 1}}, ["series.count", "series.lastObservedTime"]),
        ({"note": "other"}, ["message"]),
        ({"regarding": {"kind": "Node"}, "related": {"name": "x"}}, ["involvedObject", "related"]),
        ({"reportingController": "o.test/d"}, ["reportingController"]),
    ],
)
def test_changes(change: dict[str, Any], wanted: list[str]) -> None:
    assert [e.path for e in EVENT.validate_update(OLD | change, OLD)] == wanted


def test_an_older_event_may_get_a_series() -> None:
    old = {k: v for k, v in OLD.items() if k != "eventTime"}
    assert EVENT.validate(old | {"series": SERIES}) == []
    assert "eventTime" in {e.path for e in EVENT.validate_create(old)}
