"""Logs that grow too large."""

from datetime import UTC, datetime
from pathlib import Path

from tiphys.kubelet.log_rotation import is_larger, make_room, surplus

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_oldest_files_go() -> None:
    assert surplus(["l.3", "l.1", "l.2"], 5) == []
    assert surplus(["l.4", "l.1", "l.3", "l.2"], 5) == ["l.1"]


def test_the_present_file_moves_aside(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_text("x" * 10)
    assert is_larger(path, 9)
    assert not is_larger(path, 10)
    for day in range(1, 5):
        path.with_name(f"0.log.2026010{day}-000000").touch()
    target = make_room(path, 5, NOW)
    assert target.name == "0.log.20260102-030405"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "0.log.20260102-000000",
        "0.log.20260102-030405",
        "0.log.20260103-000000",
        "0.log.20260104-000000",
    ]
