"""The folder of network namespaces gets on with iproute2. Needs root."""

import subprocess
from pathlib import Path

import pytest

from tiphys.lib.netlink import netns

pytestmark = pytest.mark.root


def mounts_at(path: Path) -> int:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return sum(line.split()[4] == str(path) for line in lines)


def test_iproute_finds_the_folder_prepared_and_hides_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "netns"
    netns.prepare(directory)
    netns.create(directory / "ours")
    # What `ip netns add` tries first; only where this fails does it bind the folder over itself.
    subprocess.run(["mount", "--make-shared", str(directory)], check=True)
    netns.prepare(directory)
    assert mounts_at(directory) == 1
    assert netns.is_alive(directory / "ours")
    netns.remove_empty(directory)
    assert netns.is_alive(directory / "ours"), "not while somebody has a namespace there"
    netns.delete(directory / "ours")
    netns.remove_empty(directory)
    assert not directory.exists()
    assert mounts_at(directory) == 0
