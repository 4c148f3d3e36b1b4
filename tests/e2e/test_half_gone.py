"""From any half-gone state: a start works or names the cause, and `tiphys delete` is the way out.

Each file of a stopped profile is taken away, and spoilt, in turn. The machine is one of its own, so
that nobody else takes the addresses meanwhile.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.clusters import Cluster, is_ready, until
from e2e.machines import Machine
from tiphys.cluster import addresses

WAIT = ("start", "--wait", "--wait-timeout", "30")
RUBBISH = b"\0rubbish{" * 8
# Written anew by whoever needs them, file by file: layers of images are as many as there are files.
SKIPPED = ("logs", "layers", "upper")
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "c",
                "image": "busybox",
                "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"],
            }
        ],
    },
}


class Stopped:
    """A stopped profile with a pod, which can be brought back as it was."""

    def __init__(self, machine: Machine) -> None:
        self.cluster = machine.cluster
        self.machine = machine
        self.directory = self.cluster.home / "state" / self.cluster.name
        self.kept = self.cluster.home / "kept"
        self.cluster.start()
        self.cluster.kubectl("create", "-f", "-", stdin=json.dumps(POD))
        until(lambda: is_ready(self.cluster.get("pod", "p")), 60, "the pod runs")
        self.cluster.tiphys("stop")
        subprocess.run(["cp", "-a", self.directory, self.kept], check=True)

    def restore(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        subprocess.run(["cp", "-a", self.kept, self.directory], check=True)

    def files(self) -> list[Path]:
        found = (path for path in sorted(self.kept.rglob("*")) if path.is_file())
        relative = [p.relative_to(self.kept) for p in found if not p.is_symlink()]
        return [path for path in relative if not set(path.parts) & set(SKIPPED)]


@pytest.fixture(scope="module")
def stopped() -> Iterator[Stopped]:
    machine = Machine(f"half{os.getpid() % 10000}", "")
    try:
        yield Stopped(machine)
    finally:
        machine.cluster.tiphys("delete", check=False)
        machine.close()
        shutil.rmtree(machine.cluster.home, ignore_errors=True)


def problems(cluster: Cluster, file: Path) -> tuple[list[str], bool]:
    """What is wrong with what the commands say of a profile one of whose files was spoilt.

    And whether the start worked.
    """
    start = cluster.tiphys(*WAIT, check=False)
    status = cluster.tiphys("status", check=False)
    stop = cluster.tiphys("stop", check=False)
    said = start.stdout + start.stderr
    found = [
        f"{file}: {done.args[-1]} fails with a traceback: {done.stderr[-300:]}"
        for done in (start, status, stop)
        if "Traceback" in done.stderr
    ]
    if start.returncode == 0:
        return found if status.returncode == 0 else [*found, f"{file}: {status.stdout}"], True
    named = (file.name, file.stem, "ends again and again")
    if not any(words in said for words in named):
        found.append(f"{file}: the cause is not named: {said[-400:]}")
    if f"tiphys delete -p {cluster.name}" not in said:
        found.append(f"{file}: the way out is not told: {said[-400:]}")
    return found, False


def left(stopped: Stopped) -> list[str]:
    """What is there after a delete."""
    cluster, machine = stopped.cluster, stopped.machine
    marks = (cluster.name, addresses.short_name(cluster.name))  # Others' mounts are here too.
    found = [str(p) for p in (stopped.directory, cluster.home / "run" / cluster.name) if p.exists()]
    commands = (("ip", "netns"), ("ip", "-o", "link"), ("ip", "route"), ("cat", "/proc/mounts"))
    for command in (*commands, ("/usr/sbin/nft", "list", "tables")):
        lines = machine.run(*command).splitlines()
        found += [line for line in lines if any(mark in line for mark in marks)]
    groups = (p for p in Path("/sys/fs/cgroup").rglob(cluster.name) if p.is_dir())
    return [*found, *map(str, groups)]


@pytest.mark.parametrize("way", ["removed", "spoilt"])
def test_each_file_in_turn(stopped: Stopped, way: str) -> None:
    found: list[str] = []
    refused: list[str] = []
    for file in stopped.files():
        stopped.restore()
        path = stopped.directory / file
        if way == "removed":
            path.unlink()
        else:
            path.write_bytes(RUBBISH)
        bad, works = problems(stopped.cluster, file)
        found += bad
        if not works:
            refused.append(file.name)
            stopped.cluster.tiphys("delete")
            found += [f"{file}: left after delete: {trace}" for trace in left(stopped)]
    assert not found, "\n".join(found)
    assert {"profile.json", "state.db", "ca.key", "sa.key"} <= set(refused)


@pytest.mark.parametrize("kept", ["profile.json", "pki", "store", "nodes"])
def test_only_one_thing_is_there(stopped: Stopped, kept: str) -> None:
    """A profile of which all else is gone: told what is wrong, then deleted wholly."""
    stopped.restore()
    for path in stopped.directory.iterdir():
        if path.name != kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    start = stopped.cluster.tiphys(*WAIT, check=False)
    assert "Traceback" not in start.stderr
    if start.returncode != 0:
        assert f"tiphys delete -p {stopped.cluster.name}" in start.stderr
    stopped.cluster.tiphys("delete")
    assert left(stopped) == []


def test_deleted_while_it_is_half_gone(stopped: Stopped) -> None:
    """A running cluster loses its files; delete ends it all the same."""
    stopped.restore()
    stopped.cluster.start()
    shutil.rmtree(stopped.directory, ignore_errors=True)  # Its processes write on.
    refused = stopped.cluster.tiphys("status", check=False)
    assert refused.returncode in (31, 85)  # Damaged, or not there at all.
    stopped.cluster.tiphys("delete")
    assert left(stopped) == []
