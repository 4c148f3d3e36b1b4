"""Schedules of cron jobs, against the texts of upstream's parser."""

import pytest

from tiphys.apiserver.resources.batch import schedule_rules


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("*/5 1,2 1-7 jan-MAR mon", ""),
        ("@hourly", ""),
        ("@every 1h30m", ""),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("61 * * * *", "end of range (61) above maximum (59): 61"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        (
            "x * * * *",
            'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax',
        ),
        ("@often", "unrecognized descriptor: @often"),
        (
            "@every 1x",
            'failed to parse duration @every 1x: time: unknown unit "x" in duration "1x"',
        ),
        (
            "TZ=UTC * * * * *",
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        ),
    ],
)
def test_schedules(value: str, text: str) -> None:
    errors = schedule_rules.schedule(value, "spec.schedule")
    assert [error.detail for error in errors] == ([text] if text else [])


@pytest.mark.parametrize("value", ["", "Local", "europe/nowhere", "../etc/passwd"])
def test_wrong_time_zones(value: str) -> None:
    assert schedule_rules.time_zone(value, "spec.timeZone")


@pytest.mark.parametrize("value", [None, "UTC", "Europe/Berlin"])
def test_right_time_zones(value: str | None) -> None:
    assert not schedule_rules.time_zone(value, "spec.timeZone")
