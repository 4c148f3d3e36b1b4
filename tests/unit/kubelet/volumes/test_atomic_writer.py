"""A directory of files that changes all at once."""

import stat
from pathlib import Path

import pytest

from tiphys.kubelet.volumes.atomic_writer import File, PathError, check_path, write_files


def test_files_appear_behind_links(tmp_path: Path) -> None:
    assert write_files(tmp_path, {"a": File(b"1", 0o640), "d/b": File(b"2", 0o400)}, "v1")
    assert (tmp_path / "..data").readlink() == Path("..v1")
    assert (tmp_path / "a").readlink() == Path("..data/a")
    assert (tmp_path / "d").readlink() == Path("..data/d")
    assert (tmp_path / "d" / "b").read_bytes() == b"2"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_the_same_again_writes_nothing(tmp_path: Path) -> None:
    files = {"a": File(b"1", 0o644)}
    assert write_files(tmp_path, files, "v1")
    assert not write_files(tmp_path, files, "v2")
    assert write_files(tmp_path, {"a": File(b"1", 0o600)}, "v3"), "a mode is a change"


def test_a_new_version_replaces_the_old_one(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": File(b"1", 0o644), "b": File(b"2", 0o644)}, "v1")
    write_files(tmp_path, {"a": File(b"3", 0o644), "c": File(b"4", 0o644)}, "v2")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["..data", "..v2", "a", "c"]
    assert (tmp_path / "a").read_bytes() == b"3"


@pytest.mark.parametrize("path", ["", "/a", "../a", "a/../b", "..a"])
def test_paths_stay_inside(path: str) -> None:
    with pytest.raises(PathError):
        check_path(path)
