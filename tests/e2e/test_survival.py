"""kill -9 of all but the shims: containers live on, the cluster heals, delete leaves nothing."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from e2e.clusters import TIPHYS, Cluster, container_processes, until
from tiphys.cluster import addresses, node_network
from tiphys.cluster import profile as profiles
from tiphys.cluster.profile import Roots


def traces() -> list[str]:
    """What a cluster could leave on the machine."""
    found: list[str] = []
    for command in (
        ["ip", "netns", "list"],
        ["ip", "-o", "link"],
        ["ip", "route"],
        ["/usr/sbin/nft", "list", "tables"],
    ):
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        lines = text.splitlines()
        if command[1] == "-o":
            lines = [line.split(":")[1].strip() for line in lines]
        found += [f"{command[-1]}: {line}" for line in lines]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [f"mount: {line.split()[4]}" for line in mounts]
    found += [f"cgroup: {p}" for p in Path("/sys/fs/cgroup").rglob("*") if p.is_dir()]
    return sorted(found)


@pytest.fixture
def own() -> Iterator[Cluster]:
    found = Cluster(f"kill{os.getpid() % 10000}")
    yield found
    found.tiphys("delete", check=False)


def _hello(cluster: Cluster) -> dict[str, Any]:
    cluster.kubectl(
        "create", "deployment", "web", "--image=busybox", "--", "sh", "-c",
        "while :; do date; sleep 1; done",
    )  # fmt: skip
    (pod,) = until(lambda: cluster.running_pods("app=web"), 60)
    found: dict[str, Any] = pod
    return found


def _marks(cluster: Cluster) -> list[str]:
    """By what a trace of this cluster is told from those of others on the machine."""
    ranges = cluster.status()["ranges"]
    networks = [ranges[name].rsplit(".", 2 if name != "nodes" else 1)[0] + "." for name in ranges]
    return [cluster.name, addresses.short_name(cluster.name), str(cluster.home), *networks]


def _state(cluster: Cluster, name: str) -> tuple[str, int, bool]:
    status = cluster.get("pod", name)["status"]["containerStatuses"][0]
    return status["containerID"], status["restartCount"], status["ready"]


def _kill(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _until_again(cluster: Cluster, component: str, old: list[int]) -> None:
    """Until the supervisor has started the component again."""

    def again() -> bool:
        found = cluster.pids(component)
        return bool(found) and found != old

    until(again, 20, component)


def test_everything_killed_at_once(own: Cluster) -> None:
    before = traces()
    own.start()
    name = _hello(own)["metadata"]["name"]
    state = _state(own, name)
    first = min(container_processes(state[0].split("://")[1]))
    _kill(own.pids())
    own.start()
    own.kubectl("create", "namespace", "after")
    assert min(container_processes(state[0].split("://")[1])) == first
    until(lambda: _state(own, name) == state, 10, "the same container, not restarted, ready")
    until(lambda: own.kubectl("logs", name, "--tail", "1", check=False).strip())
    marks = _marks(own)
    assert any(m in t for t in traces() for m in marks), "the marks are the right ones"
    own.delete()
    left = [t for t in traces() if t not in before and any(m in t for m in marks)]
    assert left == []


def test_each_component_alone(own: Cluster) -> None:
    own.start()
    name = _hello(own)["metadata"]["name"]
    state = _state(own, name)
    first = min(container_processes(state[0].split("://")[1]))
    for component in ("apiserver", "runtime", "kubelet", "controllers", "scheduler", "proxy"):
        old = own.pids(component)
        _kill(old)
        _until_again(own, component, old)
    until(lambda: own.kubectl("get", "nodes", check=False).count(" Ready ") == 1, 20)
    own.kubectl("scale", "deployment", "web", "--replicas=2")
    until(lambda: len(own.running_pods("app=web")) == 2, 60, "new pods still start")
    assert min(container_processes(state[0].split("://")[1])) == first
    assert _state(own, name)[:2] == state[:2]


def test_stop_and_start_keep_every_object_and_start_its_pods_again(own: Cluster) -> None:
    own.start()
    _hello(own)
    own.kubectl("create", "namespace", "kept")
    own.tiphys("stop")
    assert own.status()["state"] == "Stopped"
    own.start()
    assert "kept" in own.kubectl("get", "namespaces")
    until(lambda: own.running_pods("app=web"), 60, "its pods run again")


def test_after_a_reboot_its_pods_run_again(own: Cluster) -> None:
    """Processes, mounts, namespaces, cgroups and /run are gone; files under the state are there."""
    own.start()
    name = _hello(own)["metadata"]["name"]
    _kill([*own.pids(), *own.shims()])
    profile = profiles.load(Roots(own.home / "state", own.home / "run"), own.name)
    assert profile is not None
    node_network.remove(profile)
    shutil.rmtree(own.home / "run")
    groups = (p for p in Path("/sys/fs/cgroup").rglob("*") if own.name in p.parts and p.is_dir())
    for group in sorted(groups, key=lambda path: -len(path.parts)):
        until(partial(_is_removed, group), what=f"{group} is empty")
    own.start()
    until(lambda: [p for p in own.running_pods("app=web") if _uid(p)], 60, "its pods run again")
    status = own.get("pod", name)["status"]["containerStatuses"][0]
    assert status["restartCount"] == 1


def _is_removed(group: Path) -> bool:
    """Its processes have been killed; the kernel counts them until they are gone."""
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _uid(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["uid"])


def test_a_damaged_profile_is_deleted_wholly(own: Cluster) -> None:
    own.start()
    _hello(own)
    marks = [own.name, addresses.short_name(own.name)]
    (own.home / "state" / own.name / "profile.json").write_text("{")
    refused = own.tiphys("start", check=False)
    assert refused.returncode == 31
    assert f"tiphys delete -p {own.name}" in refused.stderr
    own.tiphys("delete")
    assert [t for t in traces() if any(m in t for m in marks)] == []


def test_two_profiles_side_by_side(own: Cluster) -> None:
    other = Cluster(f"{own.name}b", home=own.home)
    try:
        own.start()
        other.start("--nodes", "0")
        own.kubectl("create", "namespace", "mine")
        assert "mine" not in other.kubectl("get", "namespaces")
        assert own.status()["server"] != other.status()["server"]
        again = own.tiphys("start")
        assert "runs already" in again.stdout
        refused = own.tiphys("start", "--nodes", "0", check=False)
        assert refused.returncode == 34
        assert "runs with --nodes 1, not 0" in refused.stderr
    finally:
        other.tiphys("delete")


def test_starts_at_the_same_moment_do_not_collide(own: Cluster) -> None:
    other = Cluster(f"{own.name}c")
    try:
        processes = [
            subprocess.Popen(
                [str(TIPHYS), "-p", one.name, "start", "--wait", "--nodes", "0"],
                env=one.env,
                stdout=subprocess.DEVNULL,
            )
            for one in (own, other, own)
        ]
        assert [p.wait(60) for p in processes] == [0, 0, 0]
        assert own.status()["server"] != other.status()["server"]
    finally:
        other.delete()
