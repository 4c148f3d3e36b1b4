"""Freezing a group with the kernel of this machine."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiphys.runtime.cgroups.freezer import Freezer
from tiphys.runtime.cgroups.interface import detect

pytestmark = pytest.mark.root


@pytest.fixture
def group() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    path = f"tiphys-freezer-{os.getpid()}/below"
    cgroups = detect()
    cgroups.create(path, {})
    script = f"i=0; while :; do i=$((i+1)); echo $i > /tmp/frozen-{os.getpid()}; done"
    process = subprocess.Popen(["sh", "-c", script])
    for file in cgroups.procs_files(path):
        Path(file.replace("/tasks", "/cgroup.procs")).write_text(str(process.pid))
    yield path, process
    Freezer().thaw_below(path.split("/")[0])
    process.kill()
    process.wait()
    while not cgroups.remove(path.split("/")[0]):
        time.sleep(0.01)
    Path(f"/tmp/frozen-{os.getpid()}").unlink(missing_ok=True)


def _count() -> str:
    path = Path(f"/tmp/frozen-{os.getpid()}")
    return path.read_text() if path.exists() else ""


def _goes_on(seconds: float) -> bool:
    """Whether it counts on within so long."""
    before = _count()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if _count() not in (before, ""):
            return True
        time.sleep(0.01)
    return False


def test_what_is_frozen_gets_no_time(group: tuple[str, subprocess.Popen[bytes]]) -> None:
    path, process = group
    freezer = Freezer()
    assert freezer.path_of(process.pid) == path
    assert _goes_on(10)
    assert not freezer.is_frozen(path)
    freezer.freeze(path)
    assert freezer.is_frozen(path)
    assert not _goes_on(0.3)
    freezer.thaw(path)
    assert _goes_on(10)
    freezer.freeze(path)
    freezer.thaw_below(path.split("/")[0])
    assert _goes_on(10)
