"""What a command caused, from events."""

from typing import Any

from tiphys.cluster.learn.story import LINES_MAX, counts, tell


def event(uid: str, *, at: str, version: int, count: int = 1, text: str = "done") -> dict[str, Any]:
    return {
        "metadata": {"uid": uid, "resourceVersion": str(version)},
        "involvedObject": {"kind": "Pod", "name": "web"},
        "source": {"component": "kubelet"},
        "lastTimestamp": at,
        "count": count,
        "message": text,
    }


def test_only_what_is_new_in_its_order() -> None:
    old = event("1", at="2026-01-01T00:00:00Z", version=1)
    third = event("3", at="2026-01-01T00:00:05Z", version=9, text="started")
    second = event("2", at="2026-01-01T00:00:05Z", version=8, text="pulled")
    assert tell([third, old, second], counts([old])) == [
        "kubelet  Pod web: pulled",
        "kubelet  Pod web: started",
    ]


def test_an_event_that_happened_again_is_new() -> None:
    before = event("1", at="2026-01-01T00:00:00Z", version=1)
    again = event("1", at="2026-01-01T00:00:09Z", version=7, count=2, text="restarted")
    assert tell([again], counts([before])) == ["kubelet  Pod web: restarted"]


def test_components_stand_in_a_column() -> None:
    one = event("1", at="2026-01-01T00:00:00Z", version=1)
    two = {**event("2", at="2026-01-01T00:00:01Z", version=2), "reportingComponent": "scheduler"}
    assert tell([one, two], {}) == ["kubelet    Pod web: done", "scheduler  Pod web: done"]


def test_many_are_cut_and_it_is_said() -> None:
    many = [event(str(n), at="2026-01-01T00:00:00Z", version=n) for n in range(LINES_MAX + 5)]
    lines = tell(many, {})
    assert len(lines) == LINES_MAX + 1
    assert lines[-1] == "... and 5 more: kubectl get events"
