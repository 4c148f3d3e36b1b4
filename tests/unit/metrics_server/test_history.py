"""A day of minutes in a file that does not grow."""

from pathlib import Path

import pytest

from tiphys.metrics_server import history
from tiphys.metrics_server.history import MINUTES, History, MinutePoint
from tiphys.metrics_server.minutes import Minute, usage_by_series
from tiphys.metrics_server.points import Point, Points, Scraped, taken

NOW = 29_000_000  # A minute of 2025.


def point(minute: int, value: int = 1) -> MinutePoint:
    return MinutePoint(minute, value, value * 1000)


def test_points_survive_a_restart(tmp_path: Path) -> None:
    first = History(tmp_path / "h")
    for minute in (NOW, NOW + 1):
        first.write({"node/n": point(minute), "pod/ns/p": point(minute, 2)})
    first.close()
    second = History(tmp_path / "h")
    assert second.read("node/n", NOW, NOW + 9) == [point(NOW), point(NOW + 1)]
    assert second.read("pod/ns/p", NOW + 1, NOW + 9) == [point(NOW + 1, 2)]
    assert second.read("pod/ns/other", NOW, NOW + 9) == []


def test_a_day_is_kept_and_no_more(tmp_path: Path) -> None:
    store = History(tmp_path / "h")
    for minute in range(NOW, NOW + 2 * MINUTES):
        store.write({"node/n": point(minute)})
    last = NOW + 2 * MINUTES - 1
    found = store.read("node/n", 0, last)
    assert (len(found), found[0].minute, found[-1].minute) == (MINUTES, last - MINUTES + 1, last)
    # After a night without a cluster the old points are of no day any more.
    assert store.read("node/n", 0, last + MINUTES) == []


def test_the_series_that_ended_first_makes_place(tmp_path: Path) -> None:
    store = History(tmp_path / "h", series_max=2)
    store.write({"a": point(NOW), "b": point(NOW)})
    store.write({"b": point(NOW + 1)})
    store.write({"c": point(NOW + 2)})
    assert [store.knows(s) for s in "abc"] == [False, True, True]
    assert store.read("c", 0, NOW + 2) == [point(NOW + 2)]
    size = (tmp_path / "h").stat().st_size
    store.write({str(n): point(NOW + 3 + n) for n in range(20)})
    assert (tmp_path / "h").stat().st_size == size


def test_the_whole_file_is_bounded() -> None:
    assert history.BYTES_MAX < 25_000_000


@pytest.mark.parametrize("content", [b"", b"something else entirely"])
def test_a_file_of_another_format_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "h").write_bytes(content)
    store = History(tmp_path / "h")
    store.write({"a": point(NOW)})
    assert store.read("a", NOW, NOW) == [point(NOW)]


def test_a_torn_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    store = History(tmp_path / "h")
    store.write({"a": point(NOW), "b": point(NOW)})
    store.close()
    data = (tmp_path / "h").read_bytes()
    (tmp_path / "h").write_bytes(data[: len(data) - 100])
    assert History(tmp_path / "h").read("a", NOW, NOW) == [point(NOW)]


def test_a_minute_is_the_average_of_its_rounds() -> None:
    minute = Minute()
    assert minute.add(NOW, {"a": (0.1, 100)}) == {}
    assert minute.add(NOW, {"a": (0.3, 300), "b": (1.0, 8)}) == {}
    assert minute.add(NOW + 1, {}) == {
        "a": MinutePoint(NOW, 200, 200),
        "b": MinutePoint(NOW, 1000, 8),
    }


def test_usage_of_a_pod_is_the_sum_of_its_containers() -> None:
    points = Points()
    for at, cpu in ((0.0, 0.0), (10.0, 5.0)):
        containers = {"c": Point(1000 + at, cpu, 7), "d": Point(1000 + at, 2 * cpu, 1)}
        points = taken(points, {"n": Scraped(Point(1000 + at, cpu, 3), {("ns", "p"): containers})})
    assert usage_by_series(points) == {"node/n": (0.5, 3), "pod/ns/p": (1.5, 8)}
