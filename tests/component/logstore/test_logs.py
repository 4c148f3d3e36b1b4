"""Agent and store on real files: each line once, whatever is rotated, removed, killed or full."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tiphys.api import labels
from tiphys.logstore import segment
from tiphys.logstore.agent import LogAgent
from tiphys.logstore.index import Filter, Position, Source
from tiphys.logstore.pattern import regex_pattern, text_pattern
from tiphys.logstore.search import LogReader
from tiphys.logstore.store import Batch, LogStore

STAMP = "2026-11-28T10:00:%02d.%09dZ"


def a_line(number: int, text: str, stream: str = "stdout") -> bytes:
    return f"{STAMP % (number // 1000 % 60, number % 1000)} {stream} F {text}\n".encode()


class Rig:
    def __init__(self, directory: Path) -> None:
        self.directory = directory / "store"
        self.pods = directory / "pods"
        self.labels: dict[str, dict[str, str]] = {}
        self.open()

    def open(self) -> None:
        self.store = LogStore(self.directory)
        self.agent = LogAgent(
            self.store, lambda: {"n1": self.pods}, lambda uid: self.labels.get(uid, {})
        )

    def close(self) -> None:
        self.agent.close()
        self.store.close()

    def log(self, pod: str = "p", name: str = "0.log") -> Path:
        path = self.pods / f"ns_{pod}_uid-{pod}" / "main" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, *numbers: int, pod: str = "p") -> None:
        with self.log(pod).open("ab") as file:
            for number in numbers:
                file.write(a_line(number, f"line-{number} of {pod}"))

    def drain(self) -> None:
        while self.agent.step():
            pass

    def found(self, text: str = "line-", **wanted: Any) -> list[str]:
        reader = LogReader(self.directory)
        try:
            return [h.text for h in reader.search(text_pattern(text), Filter(**wanted), 0)]
        finally:
            reader.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    found = Rig(tmp_path)
    yield found
    found.close()


def lines(*numbers: int, pod: str = "p") -> list[str]:
    return [f"line-{n} of {pod}" for n in numbers]


def test_lines_are_found_by_text_time_pod_and_label(rig: Rig) -> None:
    rig.labels["uid-a"] = {"app": "x"}
    rig.write(1, 2, 3000, pod="a")
    rig.write(2, pod="b")
    rig.drain()
    assert rig.found("line-2") == [*lines(2, pod="a"), *lines(2, pod="b")]
    assert rig.found(pod="b") == lines(2, pod="b")
    assert rig.found(since=STAMP % (1, 0)) == lines(3000, pod="a")
    reader = LogReader(rig.directory)
    by_label = reader.search(text_pattern(""), Filter(labels=labels.parse("app=x")), 2)
    assert [h.text for h in by_label] == lines(2, 3000, pod="a")
    assert by_label[0].source == Source("ns", "a", "uid-a", "main", "n1")
    assert reader.search(text_pattern(""), Filter(), 0) == [], "a follower is told what is new only"
    reader.close()


def test_what_only_the_heads_of_lines_say_is_not_found(rig: Rig) -> None:
    rig.write(1)
    rig.drain()
    assert rig.found("stdout") == []


def test_rotation_and_removal_lose_nothing(rig: Rig) -> None:
    rig.write(1)
    rig.drain()
    rig.write(2)
    rig.log().rename(rig.log(name="0.log.20261128-100000"))
    rig.write(3)
    rig.drain()
    rig.write(4)
    rig.log().unlink()
    rig.log(name="0.log.20261128-100000").unlink()
    rig.drain()
    rig.agent.step()
    assert rig.found() == lines(1, 2, 3, 4)
    assert list(rig.store.positions()) == [], "of files that are gone nothing is kept"


def test_a_half_written_line_is_taken_when_it_is_whole(rig: Rig) -> None:
    whole = a_line(1, "line-1 of p")
    with rig.log().open("ab", buffering=0) as file:
        file.write(whole[:30])
        rig.drain()
        assert rig.found() == []
        file.write(whole[30:])
    rig.drain()
    assert rig.found() == lines(1)


def test_a_restart_goes_on_where_the_store_ended(rig: Rig) -> None:
    rig.write(1, 2)
    rig.drain()
    rig.close()
    rig.write(3)
    rig.open()
    rig.drain()
    assert rig.found() == lines(1, 2, 3)


def test_a_file_with_a_used_inode_is_read_wholly(rig: Rig) -> None:
    rig.write(1)
    rig.drain()
    status = rig.log().stat()
    rig.close()
    with rig.log().open("r+b") as file:  # The same inode, other lines, no shorter.
        file.write(a_line(7, "line-7 of p"))
    assert rig.log().stat().st_ino == status.st_ino
    rig.open()
    rig.drain()
    assert rig.found("line-7") == lines(7)


def test_each_line_is_there_once_although_the_agent_is_killed_again_and_again(rig: Rig) -> None:
    rig.close()
    total = 0
    for _ in range(12):
        child = os.fork()
        if child == 0:
            rig.open()
            while True:
                rig.agent.step()
        for _ in range(20):
            rig.write(*range(total, total + 50))
            total += 50
            time.sleep(0.001)  # The writer's own pace, beside which the child is killed.
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    rig.open()
    rig.drain()
    assert sorted(rig.found(), key=lambda t: int(t.split()[0][5:])) == lines(*range(total))


def test_what_a_crash_left_without_a_row_is_cut_off(rig: Rig) -> None:
    rig.write(1)
    rig.drain()
    rig.close()
    with segment.path_of(rig.directory, 0).open("ab") as file:
        file.write(a_line(9, "line-9 never promised"))
    segment.path_of(rig.directory, 1).write_bytes(a_line(9, "line-9 neither"))
    rig.open()
    rig.write(2)
    rig.drain()
    assert rig.found() == lines(1, 2)


def test_old_and_surplus_segments_go_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "SEGMENT_BYTES_MAX", 100)
    source = Source("ns", "p", "u", "c", "n")
    with LogStore(tmp_path, bytes_max=400) as store:
        for number in range(6):
            data = a_line(number * 1000, f"line-{number} " + "x" * 60)
            store.write([Batch(source, {}, data, Position(1, number, data[:64], len(data)))])
        assert store.retain(STAMP % (0, 0)) == 3
        assert store.retain(STAMP % (4, 0)) == 1
        reader = LogReader(tmp_path)
        assert [h.text[:6] for h in reader.search(text_pattern("line"), Filter(), 0)] == [
            "line-4",
            "line-5",
        ]
        reader.close()


def test_a_write_that_fails_leaves_nothing_and_may_be_tried_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.write(1)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", full)
        with pytest.raises(OSError, match="No space left"):
            rig.agent.step()
    rig.drain()
    assert rig.found() == lines(1)


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_the_newest_lines_are_found_whatever_the_order_of_writing(rig: Rig, limit: int) -> None:
    for number in (5000, 1, 9000, 2, 7000, 3):
        rig.write(number, number + 1, pod=f"p{number}")
        rig.drain()
    reader = LogReader(rig.directory)
    everything = reader.search(text_pattern("line-"), Filter(), 0)
    reader.close()
    reader = LogReader(rig.directory)
    assert reader.search(text_pattern("line-"), Filter(), limit) == everything[-limit:]
    reader.close()


def test_regular_expressions_see_the_text_of_lines_only(rig: Rig) -> None:
    rig.write(1, 12, 3)
    rig.drain()
    reader = LogReader(rig.directory)
    found = reader.search(regex_pattern("^line-[0-9]{2} of p$"), Filter(), 0)
    assert [h.text for h in found] == lines(12)
    reader.close()


def test_a_store_of_before_keeps_its_lines(rig: Rig) -> None:
    rig.write(1)
    rig.drain()
    rig.close()
    old = sqlite3.connect(rig.directory / "index.db")
    old.executescript(
        "CREATE TABLE s2 (id INTEGER PRIMARY KEY, namespace TEXT, pod TEXT, uid TEXT,"
        " container TEXT, node TEXT, labels TEXT);"
        "INSERT INTO s2 SELECT id, namespace, pod, uid, container, node, labels FROM streams;"
        "DROP TABLE streams; ALTER TABLE s2 RENAME TO streams;"
    )
    old.close()
    rig.open()
    rig.write(2)
    rig.drain()
    assert rig.found() == lines(1, 2)
    assert rig.found(origin="pods") == lines(1, 2)
