"""What pods and nodes use: real kubectl, real containers, the kubelet's numbers."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from e2e.clusters import Cluster, kubectls, until
from shared import SHARED, needs_shared

TOP_SECONDS_MAX = 20.0  # From a pod's start until kubectl top tells of it.


def busy(name: str, namespace: str) -> str:
    """A pod that uses as much CPU as it may: a tenth of one."""
    container = {
        "name": "c",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", "while :; do :; done"],
        "resources": {"limits": {"cpu": "100m", "memory": "16Mi"}},
    }
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def run_busy(cluster: Cluster, namespace: str) -> None:
    """Returns when the pod is ready."""
    cluster.kubectl("apply", "-f", "-", stdin=busy("busy", namespace))
    ready = ("wait", "-n", namespace, "--for=condition=Ready", "pod/busy", "--timeout=30s")
    cluster.real(kubectls()[-1], *ready)


@pytest.mark.parametrize("client", kubectls(), ids=lambda p: p.name)
def test_top_tells_of_a_new_pod(cluster: Cluster, client: Path, namespace: str) -> None:
    def top(*words: str) -> list[list[str]]:
        text = cluster.real(client, "top", *words, check=False)
        return [line.split() for line in text.splitlines()[1:]]

    run_busy(cluster, namespace)
    began = time.monotonic()
    [[pod, container, cpu, memory]] = until(
        lambda: top("pod", "-n", namespace, "--containers"), TOP_SECONDS_MAX, "kubectl top pod"
    )
    assert time.monotonic() - began <= TOP_SECONDS_MAX
    assert (pod, container) == ("busy", "c")
    assert 20 <= int(cpu.removesuffix("m")) <= 150
    assert memory.endswith("Mi")
    assert [row[0] for row in top("pod", "-n", namespace, "-l", "app=busy")] == ["busy"]
    assert top("pod", "-n", namespace, "-l", "app=other") == []
    [[node, cores, *_]] = until(lambda: top("node"), TOP_SECONDS_MAX, "kubectl top node")
    assert node == cluster.name
    assert int(cores.removesuffix("m")) > 0


def test_the_kubelet_shows_upstreams_names(cluster: Cluster, namespace: str) -> None:
    run_busy(cluster, namespace)
    kubectl = kubectls()[-1]

    def page(path: str) -> str:
        return cluster.real(kubectl, "get", "--raw", f"/api/v1/nodes/{cluster.name}/proxy/{path}")

    where = f'{{container="c",namespace="{namespace}",pod="busy"}}'
    assert f"container_cpu_usage_seconds_total{where} " in page("metrics/resource")
    cadvisor = page("metrics/cadvisor")
    assert f'namespace="{namespace}",pod="busy"' in cadvisor
    assert "container_cpu_cfs_throttled_periods_total" in cadvisor
    assert 'interface="eth0"' in cadvisor
    summary = json.loads(page("stats/summary"))
    [pod] = [p for p in summary["pods"] if p["podRef"]["namespace"] == namespace]
    [container] = pod["containers"]
    assert container["cpu"]["usageCoreNanoSeconds"] > 0
    assert container["memory"]["workingSetBytes"] > 0


def keys_of(value: Any, path: str = "") -> set[str]:
    """Paths of all fields, `a.b[].c`."""
    if isinstance(value, dict):
        own = {f"{path}.{k}" if path else k for k in value}
        return own.union(
            *(keys_of(v, f"{path}.{k}" if path else k) for k, v in value.items()), set()
        )
    if isinstance(value, list):
        return {f"{path}[]"}.union(*(keys_of(v, f"{path}[]") for v in value)) if value else set()
    return set()


# Not shown: pressure stall information, groups of the system's own services, process limits.
NOT_SHOWN = re.compile(r".*(\.psi|\.io)\b|node\.(systemContainers|rlimit)")


@needs_shared
def test_the_summary_has_upstreams_fields(cluster: Cluster, namespace: str) -> None:
    run_busy(cluster, namespace)
    kubectl = kubectls()[-1]
    path = f"/api/v1/nodes/{cluster.name}/proxy/stats/summary"

    def summary() -> set[str]:
        return keys_of(json.loads(cluster.real(kubectl, "get", "--raw", path)))

    # A rate needs two looks that are a second apart.
    rate = "pods[].containers[].cpu.usageNanoCores"
    found = until(lambda: seen if rate in (seen := summary()) else None, what=rate)
    recorded = json.loads((SHARED / "oracle" / "endpoints" / "keys.json").read_text())
    wanted = {k for k in recorded["stats/summary"]["keys"] if not NOT_SHOWN.match(k)}
    without_swap = "pods[].containers[].swap.swapAvailableBytes"  # Only with a limit of swap.
    assert wanted - found - {without_swap} == set()


def test_who_may_view_may_see_what_is_used(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(viewer(namespace)))
    kubectl = kubectls()[-1]
    account = f"system:serviceaccount:{namespace}:default"
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods"
    found = json.loads(cluster.real(kubectl, "get", "--raw", path, f"--as={account}"))
    assert found["kind"] == "PodMetricsList"
    elsewhere = path.replace(namespace, "kube-system")
    refused = cluster.real(kubectl, "get", "--raw", elsewhere, f"--as={account}", check=False)
    assert "forbidden" in refused


def viewer(namespace: str) -> dict[str, object]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "viewer", "namespace": namespace},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "view",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }


def test_a_day_of_history_is_kept(cluster: Cluster, namespace: str) -> None:
    run_busy(cluster, namespace)
    kubectl = kubectls()[-1]
    path = f"/apis/metrics.tiphys/v1/namespaces/{namespace}/podhistories/busy"

    def history() -> dict[str, list[int]]:
        text = cluster.real(kubectl, "get", "--raw", path, check=False)
        return dict(json.loads(text)) if text.startswith("{") else {}

    # A minute is written when it has ended and the next round has come.
    found = until(lambda: history() if history().get("times") else None, 100, "a minute of history")
    assert len(found["times"]) == len(found["cpuMillicores"]) == len(found["memoryBytes"])
    assert found["times"][0] % 60 == 0
    assert max(found["cpuMillicores"]) >= 20
    assert max(found["memoryBytes"]) > 0
    refused = cluster.real(kubectl, "get", "--raw", f"{path}?minutes=0", check=False)
    assert "must be a number from 1 to 1440" in refused
