"""Faults, one test each: links that break, masters that are cut off, a disk that is full."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.clusters import Cluster, until
from e2e.test_masters import a_map, processes, writing
from tiphys.cluster import node_network
from tiphys.cluster import profile as profiles
from tiphys.cluster.profile import Roots

NOTICED_SECONDS_MAX = 40 + 5 + 10  # Upstream's grace period, the monitor's period, a slow machine.
DISK_MIB = 640  # A start wants 512 free.


def link_of(cluster: Cluster, node: str) -> str:
    profile = profiles.load(Roots(cluster.home / "state", cluster.home / "run"), cluster.name)
    assert profile is not None
    (found,) = (n for n in profile.nodes if n.name == node)
    return node_network.veth_name(profile, found)


def set_link(name: str, state: str) -> None:
    subprocess.run(["ip", "link", "set", "dev", name, state], check=True)


@contextmanager
def cut_off(cluster: Cluster, node: str) -> Iterator[None]:
    """The node's cable is pulled."""
    link = link_of(cluster, node)
    set_link(link, "down")
    try:
        yield
    finally:
        set_link(link, "up")


@pytest.fixture
def two() -> Iterator[Cluster]:
    assert os.geteuid() == 0, "clusters with nodes need root"
    found = Cluster(f"fa{os.getpid() % 10000}")
    try:
        found.start("--nodes", "2")
        yield found
    finally:
        found.delete()


def ready(cluster: Cluster, node: str) -> str:
    conditions = cluster.get("node", node)["status"]["conditions"]
    (found,) = (c["status"] for c in conditions if c["type"] == "Ready")
    return str(found)


def pod_template(name: str, *, tolerates: bool) -> dict[str, Any]:
    """It stays for two seconds on a node that is lost, or for ever."""
    reasons = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
    tolerations = [
        {"key": key, "operator": "Exists", "effect": "NoExecute"}
        | ({} if tolerates else {"tolerationSeconds": 2})
        for key in reasons
    ]
    container = {"name": "c", "image": "busybox", "command": ["sleep", "3600"]}
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "containers": [container],
            "tolerations": tolerations,
            "terminationGracePeriodSeconds": 0,
        },
    }


def workload(kind: str, name: str, template: dict[str, Any], **spec: Any) -> str:
    selector = {"matchLabels": {"app": name}}
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": {"selector": selector, "template": template, **spec},
        }
    )


def test_a_link_down_and_up(two: Cluster) -> None:
    """The node is not ready in time, pods are replaced; what stayed there is adopted as it runs."""
    lost = f"{two.name}-m02"
    for words in (
        workload("Deployment", "moves", pod_template("moves", tolerates=False), replicas=4),
        workload("DaemonSet", "stays", pod_template("stays", tolerates=True)),
    ):
        two.kubectl("create", "-f", "-", stdin=words)
    until(lambda: len(two.running_pods("app=moves")) == 4, 60)
    stays = until(lambda: len(found := two.running_pods("app=stays")) == 2 and found, 60)
    (there,) = (p for p in stays if p["spec"]["nodeName"] == lost)
    began = time.monotonic()
    with cut_off(two, lost):
        until(lambda: ready(two, lost) == "Unknown", NOTICED_SECONDS_MAX, "the node is lost")
        assert time.monotonic() - began <= NOTICED_SECONDS_MAX

        def replaced() -> bool:
            pods = two.running_pods("app=moves")
            return len(pods) == 4 and all(p["spec"]["nodeName"] != lost for p in pods)

        until(replaced, 60, "four pods on the node that is left")
    until(lambda: ready(two, lost) == "True", 60, "the node is back")

    def adopted() -> Any:
        pod = two.get("pod", there["metadata"]["name"])
        status = pod["status"]["containerStatuses"][0]
        same = status["containerID"] == there["status"]["containerStatuses"][0]["containerID"]
        return same and status["restartCount"] == 0 and status["ready"]

    until(adopted, 60, "the container that ran on all the while")
    until(lambda: len(two.get("pods", "-l", "app=moves")["items"]) == 4, 60, "evicted pods end")


def test_a_node_is_killed(two: Cluster) -> None:
    """Every process of a node at once: it comes back, and its containers were never away."""
    lost = f"{two.name}-m02"
    words = workload("DaemonSet", "stays", pod_template("stays", tolerates=True))
    two.kubectl("create", "-f", "-", stdin=words)
    stays = until(lambda: len(found := two.running_pods("app=stays")) == 2 and found, 60)
    (there,) = (p for p in stays if p["spec"]["nodeName"] == lost)
    of_node = [
        p["pid"]
        for p in two.status()["processes"]
        if p["node"] == lost and p["pid"] and p["component"] != "shim"
    ]
    assert len(of_node) >= 3
    for pid in of_node:
        os.kill(pid, 9)
    two.kubectl(
        "create", "deployment", "new", "--image=busybox", "--replicas=4", "--", "sleep", "9"
    )

    def is_back() -> bool:
        pods = two.get("pods", "-l", "app=new")["items"]
        return any(p["spec"].get("nodeName") == lost and p["status"].get("podIP") for p in pods)

    until(is_back, 60, "new pods run on it again")
    now = two.get("pod", there["metadata"]["name"])["status"]["containerStatuses"][0]
    assert now["containerID"] == there["status"]["containerStatuses"][0]["containerID"]
    assert now["restartCount"] == 0


@pytest.fixture(scope="module")
def masters() -> Iterator[Cluster]:
    assert os.geteuid() == 0, "clusters with nodes need root"
    found = Cluster(f"cut{os.getpid() % 10000}")
    try:
        found.start("--control-planes", "3", "--nodes", "1")
        yield found
    finally:
        found.delete()


def holder(cluster: Cluster, lease: str) -> str:
    identity: str = cluster.get("lease", lease, "-n", "kube-system")["spec"]["holderIdentity"]
    return identity.partition("_")[0]


def test_two_masters_are_cut_off_from_the_third(masters: Cluster) -> None:
    """The two go on; the third, the leader of before, writes nothing; then it follows again."""
    alone = holder(masters, "kube-controller-manager")
    with writing(masters, "cut") as writers:
        began = time.monotonic()
        with cut_off(masters, alone):
            writers.wait_for_one_after(began)
            until(lambda: holder(masters, "kube-controller-manager") != alone, 60, "another leads")
            masters.kubectl(
                "create", "deployment", "after", "--image=busybox", "--", "sleep", "3600"
            )
            until(lambda: masters.running_pods("app=after"), 60, "the new leader works")
            leads = masters.get("lease", "kube-controller-manager", "-n", "kube-system")["spec"]
    transitions = leads["leaseTransitions"]
    until(
        lambda: len(masters.get("endpoints", "kubernetes")["subsets"][0]["addresses"]) == 3,
        60,
        "the third serves again",
    )
    # Whoever led before found out by itself: nobody took the lease from the new leader.
    again = masters.get("lease", "kube-controller-manager", "-n", "kube-system")["spec"]
    assert again["leaseTransitions"] == transitions
    assert len(processes(masters, "etcd")) == 3


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own for the state of a cluster."""
    path = Path(tempfile.mkdtemp(prefix="ty", dir="/tmp"))
    size = f"size={DISK_MIB}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
        path.rmdir()


def test_a_full_disk(small_disk: Path) -> None:
    """Writes are refused with the reason, reads go on; with space again everything is there."""
    cluster = Cluster(f"full{os.getpid() % 10000}", home=small_disk)
    try:
        cluster.start("--nodes", "0")
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(a_map("before")))
        filler = small_disk / "filler"
        with filler.open("wb") as file:
            try:
                while True:
                    os.write(file.fileno(), bytes(1 << 16))
            except OSError:
                pass

        def refused() -> str:
            # What was set aside for the store lasts for a few writes.
            name = f"n{time.monotonic_ns()}"
            text = cluster.kubectl(
                "create", "-f", "-", stdin=json.dumps(a_map(name, "x" * 200_000)), check=False
            )
            return text if "space" in text else ""

        until(refused, 60, "a refusal that names the reason")
        assert "before" in cluster.kubectl("get", "configmaps")
        acknowledged = {c["metadata"]["name"] for c in cluster.get("configmaps")["items"]}
        filler.unlink()

        def accepted() -> bool:
            text = cluster.kubectl(
                "create", "-f", "-", stdin=json.dumps(a_map("after")), check=False
            )
            return "created" in text or "already exists" in text

        until(accepted, 60, "writes go on when there is space")
        cluster.tiphys("stop")
        cluster.start("--nodes", "0")
        left = {c["metadata"]["name"] for c in cluster.get("configmaps")["items"]}
        assert {*acknowledged, "after"} <= left
    finally:
        cluster.delete()
