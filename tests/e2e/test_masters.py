"""Three masters on etcd: whatever one of them suffers, writes go on and none is lost."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from e2e.clusters import TIPHYS, Cluster, until

pytestmark = pytest.mark.slow

GAP_SECONDS_MAX = 3.0  # From a fault to the next acknowledged write.
WRITERS = 2


@pytest.fixture(scope="module")
def masters() -> Iterator[Cluster]:
    assert os.geteuid() == 0, "clusters with nodes need root"
    found = Cluster(f"ha{os.getpid() % 10000}")
    try:
        found.start("--control-planes", "3", "--nodes", "1")
        yield found
    finally:
        found.delete()


class Writers:
    """Clients that make ConfigMaps one after the other and remember what was acknowledged."""

    def __init__(self, cluster: Cluster, prefix: str) -> None:
        self._cluster = cluster
        self._prefix = prefix
        self._stop = threading.Event()
        self.acknowledged: list[tuple[float, str]] = []
        self._threads = [threading.Thread(target=self._write, args=(k,)) for k in range(WRITERS)]

    def _write(self, number: int) -> None:
        count = 0
        while not self._stop.is_set():
            name = f"{self._prefix}-{number}-{count}"
            count += 1
            done = subprocess.run(
                [str(TIPHYS), "-p", self._cluster.name, "kubectl", "create", "-f", "-"],
                input=json.dumps(a_map(name)),
                capture_output=True,
                text=True,
                env=self._cluster.env,
                timeout=60,
                check=False,
            )
            if done.returncode == 0:
                self.acknowledged.append((time.monotonic(), name))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_one_after(self, moment: float) -> None:
        """A write that was begun after a moment is acknowledged in time."""

        def later() -> list[float]:
            return [at for at, _ in self.acknowledged if at > moment]

        # As many as there are writers may have been under way.
        gap = until(lambda: later()[WRITERS:], 10, "a write after the fault")[0] - moment
        assert gap <= GAP_SECONDS_MAX


def a_map(name: str, value: str = "v") -> dict[str, Any]:
    metadata, data = {"name": name}, {"k": value}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


@contextmanager
def writing(cluster: Cluster, prefix: str) -> Iterator[Writers]:
    writers = Writers(cluster, prefix)
    writers.start()
    try:
        until(lambda: len(writers.acknowledged) >= 2 * WRITERS, what="writes before the fault")
        yield writers
    finally:
        writers.stop()
    names = {c["metadata"]["name"] for c in cluster.get("configmaps")["items"]}
    lost = [name for _, name in writers.acknowledged if name not in names]
    assert lost == [], "acknowledged writes are gone"


def processes(cluster: Cluster, component: str) -> dict[str, int]:
    """Pids by node."""
    found = cluster.status()["processes"]
    return {p["node"]: p["pid"] for p in found if p["component"] == component and p["pid"]}


def leader(cluster: Cluster, lease: str) -> str:
    holder: str = cluster.get("lease", lease, "-n", "kube-system")["spec"]["holderIdentity"]
    return holder.partition("_")[0]


def test_masters_are_nodes_that_take_no_pods(masters: Cluster) -> None:
    nodes = {n["metadata"]["name"]: n for n in masters.get("nodes")["items"]}
    roles = {i["name"]: i["role"] for i in listed(masters)}
    assert list(roles.values()).count("control-plane") == 3
    for name, role in roles.items():
        is_master = role == "control-plane"
        taints = [t["key"] for t in nodes[name]["spec"].get("taints") or ()]
        assert ("node-role.kubernetes.io/control-plane" in taints) == is_master
        labels = nodes[name]["metadata"]["labels"]
        assert ("node-role.kubernetes.io/control-plane" in labels) == is_master
    masters.kubectl(
        "create", "deployment", "d", "--image=busybox", "--replicas=4", "--", "sleep", "99"
    )
    pods = until(lambda: len(found := masters.running_pods("app=d")) == 4 and found)
    assert {roles[p["spec"]["nodeName"]] for p in pods} == {"worker"}


def listed(cluster: Cluster) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(cluster.tiphys("node", "list", "-o", "json").stdout)[
        "items"
    ]
    return found


@pytest.mark.parametrize("component", ["etcd", "apiserver"])
def test_writes_go_on_when_a_process_is_killed(masters: Cluster, component: str) -> None:
    for node, pid in sorted(processes(masters, component).items()):
        with writing(masters, f"{component}-{node}") as writers:
            os.kill(pid, signal.SIGKILL)
            writers.wait_for_one_after(time.monotonic())
        until(lambda: len(processes(masters, component)) == 3)


@pytest.mark.parametrize(
    ("component", "lease"),
    [("controllers", "kube-controller-manager"), ("scheduler", "kube-scheduler")],
)
def test_another_leads_when_a_leader_is_frozen(
    masters: Cluster, component: str, lease: str
) -> None:
    before = leader(masters, lease)
    pid = processes(masters, component)[before]
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: leader(masters, lease) != before, 40, "the lease of 15 s ran out")
        name = f"after-{component}"
        masters.kubectl("create", "deployment", name, "--image=busybox", "--", "sleep", "99")
        until(lambda: masters.running_pods(f"app={name}"), 30, "the new leader works")
    finally:
        os.kill(pid, signal.SIGCONT)
    until(
        lambda: processes(masters, component).get(before) not in (None, pid), 20, "it stepped down"
    )


def test_a_whole_master_goes_and_comes_back(masters: Cluster) -> None:
    gone = listed(masters)[0]["name"]
    with writing(masters, "whole") as writers:
        masters.tiphys("node", "stop", gone)
        writers.wait_for_one_after(time.monotonic())
        addresses = masters.get("endpoints", "kubernetes")["subsets"][0]["addresses"]
        assert len(addresses) == 2
        masters.tiphys("node", "start", gone)
    until(
        lambda: len(masters.get("endpoints", "kubernetes")["subsets"][0]["addresses"]) == 3,
        what="the API server that came back is listed",
    )


def test_a_cluster_of_masters_stops_and_starts_with_its_objects(masters: Cluster) -> None:
    masters.kubectl("create", "-f", "-", stdin=json.dumps(a_map("kept")))
    masters.tiphys("stop")
    masters.start()
    assert masters.get("configmap", "kept")["data"] == {"k": "v"}
