"""When schedules fire, and what a CronJob keeps."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tiphys.api.meta import Obj, name_of, rfc3339
from tiphys.controllers import cron_job as cron
from tiphys.controllers.cron_schedule import MISSED_MAX, last_firing, parse

NOW = datetime(2026, 1, 2, 10, 30, 20, tzinfo=UTC)  # A Friday.


@pytest.mark.parametrize(
    ("schedule", "after", "wanted"),
    [
        pytest.param("* * * * *", "2026-01-02T10:30:20", "2026-01-02T10:31", id="every-minute"),
        pytest.param("*/15 * * * *", "2026-01-02T10:45:00", "2026-01-02T11:00", id="steps"),
        pytest.param("5/20 * * * *", "2026-01-02T10:46:00", "2026-01-02T11:05", id="step-from"),
        pytest.param("0 9-17/4 * * *", "2026-01-02T10:00:00", "2026-01-02T13:00", id="span-step"),
        pytest.param("0 0 1 1 *", "2026-01-02T10:30:20", "2027-01-01T00:00", id="next-year"),
        pytest.param("0 0 29 2 *", "2026-01-02T10:30:20", "2028-02-29T00:00", id="leap-day"),
        pytest.param("0 0 * * sun", "2026-01-02T10:30:20", "2026-01-04T00:00", id="by-name"),
        pytest.param(
            "0 0 13 * fri", "2026-01-02T10:30:20", "2026-01-09T00:00", id="day-or-weekday"
        ),
        pytest.param(
            "0 0 */2 * 1", "2026-01-02T10:30:20", "2026-01-03T00:00", id="a-step-is-no-star"
        ),
        pytest.param("@daily", "2026-01-02T10:30:20", "2026-01-03T00:00", id="descriptor"),
        pytest.param(
            "0,30 10,12 * jan,mar *", "2026-01-31T12:30:00", "2026-03-01T10:00", id="lists"
        ),
    ],
)
def test_next_firing(schedule: str, after: str, wanted: str) -> None:
    moment = parse(schedule).next(datetime.fromisoformat(after).replace(tzinfo=UTC))
    assert moment == datetime.fromisoformat(wanted).replace(tzinfo=UTC)


def test_an_impossible_day_never_fires() -> None:
    assert parse("0 0 31 2 *").next(NOW) is None


def test_every_counts_from_the_last_firing() -> None:
    assert parse("@every 1h30m").next(NOW) == NOW + timedelta(minutes=90)


def test_zones_leave_hours_out_and_repeat_them() -> None:
    zone = ZoneInfo("Europe/Berlin")
    left_out = parse("30 2 * * *", zone).next(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert left_out == datetime(2026, 3, 30, 0, 30, tzinfo=UTC), "half past two was not on the 29th"
    twice = parse("30 2 * * *", zone)
    first = twice.next(datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert twice.next(first) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "since", "last", "missed"),
    [
        pytest.param("0 0 * * *", NOW - timedelta(hours=1), None, 0, id="none-yet"),
        pytest.param(
            "30 * * * *", NOW - timedelta(hours=3), NOW.replace(second=0), 3, id="the-last-of-three"
        ),
        pytest.param(
            "* * * * *",
            NOW - timedelta(days=300),
            NOW.replace(second=0),
            MISSED_MAX + 1,
            id="very-many-are-not-counted-on",
        ),
    ],
)
def test_last_firing(schedule: str, since: datetime, last: datetime | None, missed: int) -> None:
    assert last_firing(parse(schedule), since, NOW) == (last, missed)


def a_cron_job(**spec: Any) -> Obj:
    template = {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}, "spec": {"x": 1}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": "c",
            "namespace": "default",
            "uid": "c",
            "creationTimestamp": rfc3339(NOW - timedelta(hours=1)),
        },
        "spec": {
            "schedule": "* * * * *",
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": template,
        }
        | spec,
    }


def test_the_job_of_a_firing_is_named_by_its_minute() -> None:
    moment = datetime(2026, 1, 2, 10, 30, tzinfo=UTC)
    job = cron.job_of(a_cron_job(), moment, UTC)
    assert name_of(job) == f"c-{int(moment.timestamp()) // 60}"
    assert job["metadata"]["labels"] == {"a": "b"}
    assert job["metadata"]["annotations"] == {"c": "d", cron.SCHEDULED_AT: "2026-01-02T10:30:00Z"}
    assert job["spec"] == {"x": 1}


def test_the_starting_deadline_bounds_what_is_made_up_for() -> None:
    assert cron.earliest(a_cron_job(), NOW) == NOW - timedelta(hours=1)
    bounded = a_cron_job(startingDeadlineSeconds=60)
    assert cron.earliest(bounded, NOW) == NOW - timedelta(seconds=60)
    assert cron.is_too_late(bounded, NOW - timedelta(seconds=61), NOW)
    assert not cron.is_too_late(a_cron_job(), NOW - timedelta(days=1), NOW)


def a_finished_job(name: str, kind: str, hour: int) -> Obj:
    status: Obj = {"startTime": f"2026-01-02T{hour:02}:00:00Z"}
    if kind:
        status["conditions"] = [{"type": kind, "status": "True"}]
    return {"metadata": {"name": name, "uid": name}, "status": status}


def test_the_oldest_of_each_kind_go() -> None:
    jobs = [
        a_finished_job("won2", "Complete", 2),
        a_finished_job("won1", "Complete", 1),
        a_finished_job("lost1", "Failed", 1),
        a_finished_job("runs", "", 0),
    ]
    assert [name_of(j) for j in cron.surplus(a_cron_job(), jobs)] == ["won1"]
    none = a_cron_job(failedJobsHistoryLimit=0, successfulJobsHistoryLimit=None)
    assert [name_of(j) for j in cron.surplus(none, jobs)] == ["lost1"]


def test_a_running_job_that_is_not_in_the_status_is_unexpected() -> None:
    jobs = [a_finished_job("runs", "", 0), a_finished_job("over", "Complete", 0)]
    assert [name_of(j) for j in cron.unexpected(a_cron_job(), jobs)] == ["runs"]
    known = a_cron_job() | {"status": {"active": [{"uid": "runs"}]}}
    assert cron.unexpected(known, jobs) == []
