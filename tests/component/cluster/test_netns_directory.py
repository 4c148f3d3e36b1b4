"""Namespaces can be let go although `ip netns add` makes their directory a mount afterwards."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiphys.lib.netlink import netns

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    found = tmp_path / "netns"
    yield found
    while str(found) in _mounts():
        subprocess.run(["umount", "--recursive", str(found)], check=True)


def _mounts() -> list[str]:
    """os.path.ismount does not see a directory that is mounted on itself."""
    return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def _as_iproute2(directory: Path) -> None:
    """Share the directory's mount; when it is none, mount it on itself first."""
    shared = subprocess.run(
        ["mount", "--make-shared", str(directory)], capture_output=True, check=False
    )
    if shared.returncode != 0:
        subprocess.run(["mount", "--bind", str(directory), str(directory)], check=True)
        subprocess.run(["mount", "--make-shared", str(directory)], check=True)


def test_ours_are_not_hidden(directory: Path) -> None:
    netns.prepare(directory)
    netns.prepare(directory)
    assert _mounts().count(str(directory)) == 1
    netns.create(directory / "ours")
    _as_iproute2(directory)
    assert netns.is_alive(directory / "ours")
    netns.delete(directory / "ours")
    netns.remove_empty(directory)
    assert not directory.exists()


def test_a_directory_that_others_use_stays(directory: Path) -> None:
    netns.prepare(directory)
    (directory / "theirs").touch()
    netns.remove_empty(directory)
    assert str(directory) in _mounts()
