"""Since when endpoints are out of date."""

from tiphys.api.meta import Obj, ObjectKey
from tiphys.controllers.trigger_time_tracker import TriggerTimes
from unit.controllers.builders import a_pod

KEY = ObjectKey("default", "web")
SERVICE: Obj = {"metadata": {"name": "web", "creationTimestamp": "2026-01-02T00:00:00Z"}}


def _ready_since(moment: str) -> Obj:
    pod = a_pod("a", ready=True)
    pod["status"]["conditions"][0]["lastTransitionTime"] = moment
    return pod


def test_the_earliest_change_since_the_last_look() -> None:
    times = TriggerTimes()
    assert times.changed(KEY, SERVICE, []) == "2026-01-02T00:00:00Z"
    assert times.changed(KEY, SERVICE, []) == ""
    pod = _ready_since("2026-01-02T00:00:05Z")
    assert times.changed(KEY, SERVICE, [pod]) == "2026-01-02T00:00:05Z"
    assert times.changed(KEY, SERVICE, [pod]) == ""
    times.forget(KEY)
    assert times.changed(KEY, SERVICE, [pod]) == "2026-01-02T00:00:00Z"
