"""A real cluster in each proxy mode, one after the other: the mode is kept, changed, cleaned up."""

import os
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.clusters import Cluster, until
from tiphys.lib.netlink import netns
from tiphys.proxy.config import MODES

POD = "mkdir -p /w; hostname > /w/index.html; exec httpd -f -p 8080 -h /w"


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    found = Cluster(f"pm{os.getpid() % 10000}")
    try:
        yield found
    finally:
        found.delete()


def fetch(address: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{address}/", timeout=3) as answer:
        return str(answer.read().decode().strip())


def answers(address: str) -> bool:
    try:
        return bool(fetch(address))
    except OSError:
        return False


def rules(cluster: Cluster) -> tuple[bool, bool]:
    """Whether the node has our nftables table, and our iptables chains."""
    with netns.inside(Path("/run/netns") / f"tiphys-{cluster.name}-{cluster.name}"):
        tables = subprocess.run(["/usr/sbin/nft", "list", "tables"], capture_output=True, text=True)
        saved = subprocess.run(["/usr/sbin/iptables-save"], capture_output=True, text=True)
    return "table ip kube-proxy" in tables.stdout, "KUBE-SERVICES" in saved.stdout


@pytest.mark.parametrize("mode", MODES)
def test_a_cluster_in_each_mode(own_cluster: Cluster, mode: str) -> None:
    cluster = own_cluster
    cluster.start("--proxy-mode", mode)
    if mode == MODES[0]:
        cluster.kubectl(
            "create", "deployment", "web", "--image=busybox", "--replicas=3",
            "--", "sh", "-c", POD,
        )  # fmt: skip
        cluster.kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080")
        refused = cluster.tiphys("start", "--proxy-mode", "iptables", check=False)
        assert "runs with proxy mode nftables, not iptables" in refused.stderr + refused.stdout
    address = cluster.get("service", "web")["spec"]["clusterIP"]
    slices = ("endpointslices", "-l", "kubernetes.io/service-name=web")
    until(
        lambda: sum(
            bool(e["conditions"].get("ready"))
            for one in cluster.get(*slices)["items"]
            for e in one.get("endpoints") or []
        ) == 3,
        what="three ready endpoints",
    )  # fmt: skip
    until(lambda: answers(address), what=f"{address} answers in mode {mode}")
    until(lambda: len({fetch(address) for _ in range(12)}) == 3, what="all three answer")
    found = Counter(fetch(address) for _ in range(90))
    assert len(found) == 3
    if mode == "userspace":
        assert set(found.values()) == {30}
    else:
        assert min(found.values()) >= 12
    until(lambda: rules(cluster) == (mode != "iptables", mode == "iptables"), what="cleaned up")
    cluster.tiphys("stop")


def test_the_mode_is_kept(own_cluster: Cluster) -> None:
    own_cluster.start()
    assert rules(own_cluster) == (True, False)
    again = own_cluster.tiphys("start", "--proxy-mode", "userspace")
    assert "runs already" in again.stdout
