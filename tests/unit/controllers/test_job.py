"""When a Job is over, which pods it makes, and that none is counted twice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tiphys.api.meta import Obj, name_of, rfc3339, uid_of
from tiphys.controllers import job_indexes as indexes
from tiphys.controllers import job_status, job_sync
from tiphys.controllers.job_pods import FINALIZER, Backoff, judge
from tiphys.controllers.ttl_after_finished import seconds_left as ttl_left
from unit.controllers.builders import a_pod

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def a_job(status: Obj | None = None, **spec: Any) -> Obj:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "namespace": "default", "uid": "j", "generation": 1},
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "podReplacementPolicy": "TerminatingOrFailed",
            "template": {"metadata": {}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        }
        | spec,
        "status": status or {},
    }


def a_job_pod(
    name: str, phase: str = "Running", *, index: int | None = None, code: int = 1, **more: Any
) -> Obj:
    pod = a_pod(name, phase=phase, **more)
    pod["metadata"]["finalizers"] = [FINALIZER]
    if index is not None:
        pod["metadata"]["annotations"] = {indexes.INDEX: str(index)}
    if phase == "Failed":
        ended = {"exitCode": code, "finishedAt": rfc3339(NOW)}
        pod["status"]["containerStatuses"] = [{"name": "c", "state": {"terminated": ended}}]
    return pod


def facts(job: Obj, *pods: Obj, released: tuple[str, ...] = ()) -> job_sync.Facts:
    return job_sync.Facts(job, pods, frozenset(released), NOW)


INDEXED: dict[str, Any] = {"completionMode": "Indexed", "completions": 3, "parallelism": 3}


@pytest.mark.parametrize(
    ("job", "pods", "create", "delete"),
    [
        pytest.param(a_job(), [], 1, [], id="the-first"),
        pytest.param(a_job(parallelism=2, completions=5), [], 2, [], id="as-many-as-parallel"),
        pytest.param(
            a_job({"succeeded": 4}, parallelism=3, completions=5), [], 1, [], id="what-is-left"
        ),
        pytest.param(
            a_job(parallelism=3, completions=None), [], 3, [], id="a-work-queue-starts-all"
        ),
        pytest.param(
            a_job({"succeeded": 1}, parallelism=3, completions=None),
            [a_job_pod("a")],
            0,
            [],
            id="a-work-queue-lets-the-rest-end",
        ),
        pytest.param(
            a_job(parallelism=1, completions=5),
            [a_job_pod("a", node="n", ready=True), a_job_pod("b", "Pending")],
            0,
            ["b"],
            id="parallelism-went-down",
        ),
        pytest.param(a_job(suspend=True), [a_job_pod("a")], 0, ["a"], id="suspended"),
        pytest.param(a_job(parallelism=0), [], 0, [], id="none-in-parallel"),
        pytest.param(
            a_job(podReplacementPolicy="Failed"),
            [a_job_pod("a", deleting=True)],
            0,
            [],
            id="waits-for-the-one-that-goes",
        ),
        pytest.param(a_job(), [a_job_pod("a", deleting=True)], 1, [], id="does-not-wait"),
    ],
)
def test_plan(job: Obj, pods: list[Obj], create: int, delete: list[str]) -> None:
    got = job_sync.plan(facts(job, *pods), Backoff())
    assert (len(got.create), [name_of(p) for p in got.delete]) == (create, delete)


def test_a_failed_pod_is_replaced_after_a_pause_that_doubles() -> None:
    failed = a_job_pod("a", "Failed")
    backoff = Backoff().after([], [failed], NOW)
    got = job_sync.plan(facts(a_job(), failed), backoff)
    assert (got.create, got.wait_seconds) == ((), 10.0)
    twice = backoff.after([], [failed], NOW)
    assert twice.left(NOW) == 20.0
    assert twice.left(NOW + timedelta(seconds=30)) == 0.0
    assert Backoff(30, NOW).left(NOW) == 600.0, "bounded"
    assert twice.after([a_job_pod("b", "Succeeded")], [], NOW).failures == 0


@pytest.mark.parametrize(
    ("job", "pods", "reason"),
    [
        pytest.param(a_job(), [a_job_pod("a")], None, id="runs"),
        pytest.param(
            a_job(backoffLimit=1),
            [a_job_pod("a", "Failed"), a_job_pod("b", "Failed")],
            "BackoffLimitExceeded",
            id="failed-too-often",
        ),
        pytest.param(a_job(backoffLimit=1), [a_job_pod("a", "Failed")], None, id="may-fail-once"),
        pytest.param(
            a_job({"startTime": rfc3339(NOW - timedelta(seconds=9))}, activeDeadlineSeconds=9),
            [a_job_pod("a")],
            "DeadlineExceeded",
            id="past-the-deadline",
        ),
        pytest.param(
            a_job(
                {"startTime": rfc3339(NOW - timedelta(seconds=9))},
                activeDeadlineSeconds=9,
                suspend=True,
            ),
            [],
            None,
            id="a-suspended-job-has-no-deadline",
        ),
        pytest.param(
            a_job(**INDEXED, backoffLimitPerIndex=0, maxFailedIndexes=0),
            [a_job_pod("a", "Failed", index=0)],
            "MaxFailedIndexesExceeded",
            id="too-many-failed-indexes",
        ),
        pytest.param(
            a_job({"completedIndexes": "1,2"}, **INDEXED, backoffLimitPerIndex=0),
            [a_job_pod("a", "Failed", index=0)],
            "FailedIndexes",
            id="no-index-is-left",
        ),
        pytest.param(
            a_job(**INDEXED, successPolicy={"rules": [{"succeededIndexes": "0,2"}]}),
            [a_job_pod("a", "Succeeded", index=0), a_job_pod("b", "Succeeded", index=2)],
            "SuccessPolicy",
            id="success-policy-by-index",
        ),
        pytest.param(
            a_job(**INDEXED, successPolicy={"rules": [{"succeededCount": 2}]}),
            [a_job_pod("a", "Succeeded", index=0)],
            None,
            id="success-policy-not-met",
        ),
    ],
)
def test_end(job: Obj, pods: list[Obj], reason: str | None) -> None:
    end = job_sync.end_of(facts(job, *pods))
    assert (end or {}).get("reason") == reason


ON_CODE = {"operator": "In", "values": [5]}


@pytest.mark.parametrize(
    ("rule", "pod", "wanted"),
    [
        pytest.param(
            {"action": "Ignore", "onExitCodes": ON_CODE},
            a_job_pod("a", "Failed", code=5),
            (None, False, "Ignore"),
            id="ignored",
        ),
        pytest.param(
            {"action": "FailJob", "onExitCodes": ON_CODE},
            a_job_pod("a", "Failed", code=5),
            (
                "Container c for pod default/a failed with exit code 5"
                " matching FailJob rule at index 0",
                True,
                "FailJob",
            ),
            id="fails-the-job",
        ),
        pytest.param(
            {"action": "FailJob", "onExitCodes": ON_CODE | {"operator": "NotIn"}},
            a_job_pod("a", "Failed", code=5),
            (None, True, None),
            id="another-code",
        ),
        pytest.param(
            {"action": "FailJob", "onExitCodes": ON_CODE | {"containerName": "x"}},
            a_job_pod("a", "Failed", code=5),
            (None, True, None),
            id="another-container",
        ),
        pytest.param(
            {"action": "Ignore", "onPodConditions": [{"type": "Ready", "status": "True"}]},
            a_job_pod("a", "Failed", ready=True),
            (None, False, "Ignore"),
            id="by-condition",
        ),
    ],
)
def test_pod_failure_policy(rule: Obj, pod: Obj, wanted: tuple[Any, ...]) -> None:
    assert judge(a_job(podFailurePolicy={"rules": [rule]}), pod) == wanted


@pytest.mark.parametrize(
    ("found", "text"),
    [
        pytest.param(set(), "", id="none"),
        pytest.param({3}, "3", id="one"),
        pytest.param({0, 1}, "0,1", id="two-in-a-row"),
        pytest.param({1, 3, 4, 5, 7}, "1,3-5,7", id="runs"),
    ],
)
def test_indexes_as_text(found: set[int], text: str) -> None:
    assert indexes.format_indexes(found) == text
    assert indexes.parse(text) == found


def test_an_indexed_job_makes_the_lowest_free_indexes_and_drops_doubles() -> None:
    job = a_job({"completedIndexes": "0"}, **INDEXED)
    got = job_sync.plan(facts(job, a_job_pod("b", index=1)), Backoff())
    assert got.create == (2,)
    young, old = a_job_pod("x", "Pending", index=1), a_job_pod("y", index=1, node="n", ready=True)
    got = job_sync.plan(facts(job, young, old, a_job_pod("z", index=9)), Backoff())
    assert {name_of(p) for p in got.delete} == {"x", "z"}


def test_the_next_pod_of_an_index_inherits_its_failures() -> None:
    job = a_job(**INDEXED, backoffLimitPerIndex=2)
    failed = a_job_pod("a", "Failed", index=0)
    failed["metadata"]["annotations"][indexes.FAILURES] = "1"
    sync = facts(job, failed, a_job_pod("b", index=1), a_job_pod("c", index=2))
    assert job_sync.next_failures(sync, 0) == (2, 0)
    assert not job_sync.may_release(sync, failed, None), "until its successor is there"
    assert job_sync.plan(sync, Backoff()).wait_seconds == 20.0


def test_the_template_of_an_index() -> None:
    made = indexes.with_index(a_job(), a_job()["spec"]["template"], 4, (1, 0))
    assert made["metadata"]["labels"] == {indexes.INDEX: "4"}
    assert made["metadata"]["annotations"] == {indexes.INDEX: "4", indexes.FAILURES: "1"}
    assert made["spec"]["hostname"] == "j-4"
    (variable,) = made["spec"]["containers"][0]["env"]
    assert variable["name"] == indexes.VARIABLE
    assert indexes.generate_name(a_job(), 4) == "j-4-"


def counted_pods(status: Obj, pods: list[Obj], **spec: Any) -> tuple[Obj, list[str]]:
    sync = facts(a_job(status, completions=3, **spec), *pods)
    begun = job_status.begun(sync, 0, 0, 0)
    noted, release, _ = job_status.noted(sync, begun, None)
    return noted, [uid_of(p) for p in release]


def test_a_pod_is_noted_then_released_then_counted() -> None:
    won, lost = a_job_pod("a", "Succeeded"), a_job_pod("b", "Failed")
    noted, release = counted_pods({}, [won, lost, a_job_pod("c")])
    assert noted["uncountedTerminatedPods"] == {"succeeded": ["uid-a"], "failed": ["uid-b"]}
    assert "succeeded" not in noted
    assert release == ["uid-a", "uid-b"]
    counted = job_status.counted(noted, {"uid-b", "uid-c"})
    assert counted["succeeded"] == 1
    assert counted["uncountedTerminatedPods"] == {"failed": ["uid-b"]}


def test_a_sync_after_a_crash_counts_no_pod_again() -> None:
    before = {"succeeded": 1, "uncountedTerminatedPods": {"succeeded": ["uid-a"]}}
    won = a_job_pod("a", "Succeeded")
    noted, _ = counted_pods(before, [won])
    assert noted["uncountedTerminatedPods"] == {"succeeded": ["uid-a"]}, "still has its finalizer"
    won["metadata"]["finalizers"] = []
    noted, release = counted_pods(before, [won])
    assert (noted["succeeded"], noted["uncountedTerminatedPods"], release) == (2, {}, [])


def test_a_released_pod_that_the_cache_still_shows_is_not_counted() -> None:
    sync = facts(a_job(), a_job_pod("a", "Succeeded"), released=("uid-a",))
    assert sync.succeeded == 0
    assert job_status.noted(sync, job_status.begun(sync, 0, 0, 0), None)[1] == []


def test_the_last_condition_waits_for_pods_that_go() -> None:
    end = job_sync.new_condition("FailureTarget", "R", "m", NOW)
    status: Obj = {"uncountedTerminatedPods": {}, "terminating": 1, "conditions": [end]}
    assert job_status.finished(status, end, NOW) is None
    over = job_status.finished(status | {"terminating": 0}, end, NOW)
    assert over is not None
    assert [c["type"] for c in over["conditions"]] == ["FailureTarget", "Failed"]
    assert "completionTime" not in over


def test_suspension_resets_the_start() -> None:
    started = {"startTime": "2026-01-01T00:00:00Z", "uncountedTerminatedPods": {}}
    sync = facts(a_job(started, suspend=True))
    status, event = job_status.with_suspension(sync, started)
    assert "startTime" not in status
    assert event == ("Suspended", "Job suspended")
    status, event = job_status.with_suspension(facts(a_job(status)), status)
    assert status["startTime"] == rfc3339(NOW)
    assert event == ("Resumed", "Job resumed")
    assert job_status.with_suspension(facts(a_job(started)), started) == (started, None)


@pytest.mark.parametrize(
    ("seconds", "ended", "left"),
    [
        pytest.param(None, "Complete", None, id="no-ttl"),
        pytest.param(60, "", None, id="not-over"),
        pytest.param(60, "Failed", 60.0, id="later"),
        pytest.param(0, "Complete", 0.0, id="now"),
    ],
)
def test_ttl_after_finished(seconds: int | None, ended: str, left: float | None) -> None:
    job = a_job(ttlSecondsAfterFinished=seconds)
    if ended:
        job["status"]["conditions"] = [job_sync.new_condition(ended, "", "", NOW)]
    assert ttl_left(job, NOW) == left
