"""Whose a log file is, and which part of it may be taken."""

from pathlib import Path

import pytest

from tiphys.logstore.index import Position, Source
from tiphys.logstore.pod_logs import is_log, source_of, starts_at, whole_lines


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("ns_pod-a_uid/main", Source("ns", "pod-a", "uid", "main", "n1")),
        ("ns_pod/main", None),
        ("ns__uid/main", None),
        ("a_b_c_d/main", None),
    ],
)
def test_a_folder_names_its_container(path: str, source: Source | None) -> None:
    assert source_of(Path("/var/log/pods") / path, "n1") == source


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("0.log", True),
        ("12.log", True),
        ("0.log.20261128-101500", True),
        ("0.log.20261128-101500.gz", False),
        ("x.log", False),
        ("0.logx", False),
        (".tmp", False),
    ],
)
def test_packed_and_foreign_files_are_left_alone(name: str, wanted: bool) -> None:
    assert is_log(name) == wanted


@pytest.mark.parametrize(
    ("data", "taken"), [(b"a\nb", b"a\n"), (b"a", b""), (b"", b""), (b"a\nb\n", b"a\nb\n")]
)
def test_a_line_that_is_being_written_waits(data: bytes, taken: bytes) -> None:
    assert whole_lines(data) == taken


@pytest.mark.parametrize(
    ("known", "head", "size", "offset"),
    [
        (None, b"2026 a", 100, 0),
        (Position(1, 2, b"2026 a", 40), b"2026 ab", 100, 40),
        (Position(1, 2, b"2026 a", 40), b"2027 x", 100, 0),
        (Position(1, 2, b"2026 a", 40), b"2026 a", 10, 0),
        (Position(1, 2, b"", 40), b"2026 a", 100, 0),
    ],
)
def test_an_inode_used_again_is_read_from_its_start(
    known: Position | None, head: bytes, size: int, offset: int
) -> None:
    assert starts_at(known, head, size) == offset
