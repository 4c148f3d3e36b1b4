"""CRI log files as readers get them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tiphys.cri.log_line import LogFormatError, parse
from tiphys.kubelet.logs import Formatter, LogOptions, last_lines, read_lines, tail_offset
from tiphys.kubelet.server.container_logs import OptionsError, options_of
from tiphys.lib.clock import FakeClock

LOG = b"".join(
    b"2026-01-01T00:00:0%d.123456789Z %b line %d\n" % (i, b"stdout F" if i % 2 else b"stderr F", i)
    for i in range(5)
)
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "0.log"
    path.write_bytes(LOG)
    return path


def shown(path: Path, options: LogOptions) -> bytes:
    formatter = Formatter(options)
    tail = options.tail_lines
    offset = 0 if tail is None else tail_offset(path, tail)
    return b"".join(formatter.format(raw) for raw in read_lines(path, offset))


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (LogOptions(), b"line 0\nline 1\nline 2\nline 3\nline 4\n"),
        (LogOptions(tail_lines=2), b"line 3\nline 4\n"),
        (LogOptions(tail_lines=0), b""),
        (LogOptions(tail_lines=99), b"line 0\nline 1\nline 2\nline 3\nline 4\n"),
        (LogOptions(limit_bytes=10), b"line 0\nlin"),
        (LogOptions(stream="Stdout"), b"line 1\nline 3\n"),
        (
            LogOptions(timestamps=True, tail_lines=1),
            b"2026-01-01T00:00:04.123456789Z line 4\n",
        ),
        (LogOptions(since=START.replace(second=3)), b"line 3\nline 4\n"),
    ],
    ids=["all", "tail", "no tail", "long tail", "limit", "stream", "timestamps", "since"],
)
def test_options(log: Path, options: LogOptions, wanted: bytes) -> None:
    assert shown(log, options) == wanted


def test_parts_of_a_line_come_out_as_one(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    stamp = b"2026-01-01T00:00:00Z stdout"
    path.write_bytes(b"%b P abc\n%b P def\n%b F g\n%b F h\n" % (stamp, stamp, stamp, stamp))
    assert shown(path, LogOptions(timestamps=True)) == (
        b"2026-01-01T00:00:00Z abcdefg\n2026-01-01T00:00:00Z h\n"
    )


def test_the_end_of_a_long_log_is_found_across_blocks(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    line = b"2026-01-01T00:00:00Z stdout F " + b"x" * 1000 + b"\n"
    path.write_bytes(line * 300)
    assert tail_offset(path, 150) == 150 * len(line)


def test_last_lines_are_bounded_twice(log: Path) -> None:
    assert last_lines(log, 2, 2048) == "line 3\nline 4\n"
    assert last_lines(log, 2, 3) == " 4\n"
    assert last_lines(log.with_name("none"), 2, 3) == ""


@pytest.mark.parametrize("raw", [b"", b"x", b"2026 nowhere F x"])
def test_other_lines_are_refused(raw: bytes) -> None:
    with pytest.raises(LogFormatError):
        parse(raw)


def test_queries_become_options() -> None:
    clock = FakeClock(START)
    found = options_of({"tailLines": ["3"], "follow": ["x"], "sinceSeconds": ["1"]}, clock)
    assert (found.tail_lines, found.follow) == (3, True)
    assert found.since is not None
    assert (START - found.since).total_seconds() == 1


@pytest.mark.parametrize(
    "params",
    [
        {"tailLines": ["-1"]},
        {"tailLines": ["x"]},
        {"limitBytes": ["0"]},
        {"sinceSeconds": ["1"], "sinceTime": ["2026-01-01T00:00:00Z"]},
        {"sinceTime": ["x"]},
        {"sinceSeconds": [str(2**62)]},
        {"sinceSeconds": [str(10**12)]},
    ],
)
def test_impossible_queries_are_refused(params: dict[str, list[str]]) -> None:
    with pytest.raises(OptionsError):
        options_of(params, FakeClock(START))
