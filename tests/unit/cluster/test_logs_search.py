"""`tiphys logs search`: times as users write and read them, lines as they are shown."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tiphys.cli.output import CommandError
from tiphys.cluster.commands.logs_search import line_of, moment, shown_time, zone_of
from tiphys.logstore.index import EVENTS, Source
from tiphys.logstore.search import Hit

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", ""),
        ("90s", "2026-11-28T11:58:30.000000000Z"),
        ("1h30m", "2026-11-28T10:30:00.000000000Z"),
        ("7d", "2026-11-21T12:00:00.000000000Z"),
        ("2026-11-28T10:00:00Z", "2026-11-28T10:00:00.000000000Z"),
        ("2026-11-28T10:00:00.5+02:00", "2026-11-28T08:00:00.500000000Z"),
    ],
)
def test_moments(text: str, wanted: str) -> None:
    assert moment(text, NOW) == wanted


@pytest.mark.parametrize("text", ["yesterday", "10", "5x", "2026-13-01T00:00:00Z"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(CommandError, match="is no duration and no time"):
        moment(text, NOW)


def test_times_are_shown_in_a_zone_with_all_digits() -> None:
    time = "2026-07-01T10:00:00.123456789Z"
    assert shown_time(time, UTC) == time
    assert shown_time(time, ZoneInfo("Europe/Rome")) == "2026-07-01T12:00:00.123456789+02:00"
    with pytest.raises(CommandError, match='no time zone "Mars/Olympus"'):
        zone_of("Mars/Olympus")


def test_lines() -> None:
    hit = Hit("T", Source("ns", "p", "u", "c", "n"), "stdout", "text")
    assert line_of(hit, "text", timestamps=True) == "T ns/p/c text"
    assert line_of(hit, "text", timestamps=False) == "ns/p/c text"
    assert line_of(hit, "raw", timestamps=True) == "text"
    assert json.loads(line_of(hit, "json", timestamps=True))["pod"] == "p"
    event = hit._replace(source=Source("", "", "", "", "", EVENTS))
    assert line_of(event, "text", timestamps=False) == "events text"
