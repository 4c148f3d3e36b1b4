"""Several nodes on one machine: pods reach each other, nodes come, stop, return and go."""

import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from e2e.clusters import Cluster, until

WEB = "mkdir -p /w; hostname > /w/index.html; exec httpd -f -p 8080 -h /w"


@pytest.fixture(scope="module", params=["auto", pytest.param("vxlan", marks=pytest.mark.slow)])
def three(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    assert os.geteuid() == 0, "clusters with nodes need root"
    found = Cluster(f"m{request.param[0]}{os.getpid() % 10000}")
    try:
        found.start("--nodes", "3", "--overlay", request.param)
        yield found
    finally:
        found.delete()


def nodes(cluster: Cluster) -> dict[str, str]:
    items = json.loads(cluster.tiphys("node", "list", "-o", "json").stdout)["items"]
    return {item["name"]: item["status"] for item in items}


def daemon_set(name: str) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", WEB]}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


def on_each_node(cluster: Cluster, count: int) -> list[dict[str, Any]]:
    found = cluster.running_pods("app=web")
    return found if len({p["spec"]["nodeName"] for p in found}) == count else []


def test_every_pod_reaches_every_other_by_address_and_by_service(three: Cluster) -> None:
    three.kubectl("apply", "-f", "-", stdin=json.dumps(daemon_set("web")))
    pods = until(lambda: on_each_node(three, 3), what="a pod on each node")
    service = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service}
    three.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    names = {p["metadata"]["name"] for p in pods}
    for pod in pods:
        own = pod["metadata"]["name"]
        for other in pods:
            url = f"http://{other['status']['podIP']}:8080/"
            answer = three.kubectl("exec", own, "--", "wget", "-qO-", "-T", "3", url)
            assert answer.strip() == other["metadata"]["name"]
        ask = ("exec", own, "--", "wget", "-qO-", "-T", "3", "http://web.default/")
        assert until(partial(three.kubectl, *ask, check=False)).strip() in names


def test_the_shared_zygote_is_replaced(three: Cluster) -> None:
    (before,) = three.pids("zygote")
    os.kill(before, signal.SIGKILL)
    for pod in three.running_pods("app=web"):
        three.kubectl("delete", "pod", pod["metadata"]["name"])
    until(lambda: on_each_node(three, 3), what="new pods on each node")
    assert three.pids("zygote") != [before]


def test_a_node_is_added_drained_and_deleted(three: Cluster) -> None:
    three.tiphys("node", "add", "--name", "extra")
    assert nodes(three)["extra"] == "Ready"
    until(lambda: on_each_node(three, 4), what="the daemon on the new node")
    shell = three.tiphys("node", "shell", "extra", "--", "hostname").stdout.strip()
    assert shell == "extra"
    three.kubectl(
        "create", "deployment", "d", "--image=busybox", "--replicas=8", "--", "sleep", "9"
    )
    until(lambda: len(three.running_pods("app=d")) == 8)
    three.tiphys("node", "drain", "extra", "--grace-period=0")
    places = {p["spec"]["nodeName"] for p in three.get("pods", "-l", "app=d")["items"]}
    assert "extra" not in places
    three.tiphys("node", "delete", "extra")
    assert "extra" not in nodes(three)
    assert "extra" not in {n["metadata"]["name"] for n in three.get("nodes")["items"]}
    three.kubectl("delete", "deployment", "d")


def test_a_stopped_node_is_not_ready_and_comes_back_with_its_pods(three: Cluster) -> None:
    gone = f"{three.name}-m03"
    three.tiphys("node", "stop", gone)
    assert nodes(three)[gone] == "Stopped"
    assert not [p for p in three.status()["processes"] if p["node"] == gone]

    def is_noticed() -> bool:
        conditions = three.get("node", gone)["status"]["conditions"]
        return any(c["type"] == "Ready" and c["status"] == "Unknown" for c in conditions)

    until(is_noticed, 60, "NotReady within upstream's 40 s and the controller's period")
    until(lambda: len(on_each_node(three, 2)) == 2, what="its pod is not ready")
    three.tiphys("node", "start", gone)
    assert nodes(three)[gone] == "Ready"
    until(lambda: on_each_node(three, 3), what="the daemon runs again")


def test_wrong_names_are_told(three: Cluster) -> None:
    done = three.tiphys("node", "stop", "nobody", check=False)
    assert done.returncode == 50
    assert f'has no node "nobody" (there are: {three.name}, ' in done.stderr
    done = three.tiphys("node", "add", "--name", "Not_A_Name", check=False)
    assert "is not a node's name" in done.stderr
