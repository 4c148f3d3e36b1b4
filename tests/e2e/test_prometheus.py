"""The bundled configuration with Debian's Prometheus: every target up, every alert when due."""

import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.clusters import Cluster, kubectls, until

JOBS = {
    "apiserver",
    "cadvisor",
    "cloud-controller-manager",
    "coredns",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubelet",
    "metrics-server",
    "resource",
    "runtime",
}
SECONDS_MAX = 60.0
# Who is frozen, and the alert that is due then.
DOWN = {
    "scheduler": "KubeSchedulerDown",
    "controllers": "KubeControllerManagerDown",
    "kubelet": "KubeletDown",
    "apiserver": "KubeAPIDown",
}


class Prometheus:
    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path: str, **query: str) -> Any:
        url = f"{self._base}/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def health(self) -> dict[str, set[str]]:
        """What Prometheus says of the targets of each job."""
        try:
            targets = self.get("targets")["activeTargets"]
        except OSError:
            return {}
        found: dict[str, set[str]] = {}
        for target in targets:
            found.setdefault(target["labels"]["job"], set()).add(target["health"])
        return found

    def firing(self) -> set[str]:
        alerts = self.get("alerts")["alerts"]
        return {a["labels"]["alertname"] for a in alerts if a["state"] == "firing"}

    def value(self, query: str) -> float:
        [found] = self.get("query", query=query)["result"]
        return float(found["value"][1])


@pytest.fixture(scope="module")
def prometheus(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Sooner than in life: it looks every second, and alerts do not wait."""
    assert shutil.which("prometheus"), "make test-system installs it"
    directory = tmp_path_factory.mktemp("prometheus")
    cluster.tiphys("metrics", "config", "-d", str(directory))
    hasten(directory / "prometheus.yml", {"15s": "1s"})
    waits = {f"for: {time}": "for: 0s" for time in ("15m", "5m", "1m")}
    hasten(directory / "alerts.yml", waits | {"[5m]": "[20s]"})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(20)


def hasten(path: Path, words: dict[str, str]) -> None:
    text = path.read_text()
    for old, new in words.items():
        text = text.replace(old, new)
    path.write_text(text)


def a_pod(name: str, command: str, **resources: dict[str, str]) -> dict[str, Any]:
    container = {
        "name": "c",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", command],
        "resources": resources,
    }
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def a_lost_api_service(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1.{name}.example.com"},
        "spec": {
            "group": f"{name}.example.com",
            "version": "v1",
            "groupPriorityMinimum": 10,
            "versionPriority": 10,
            "service": {"namespace": "default", "name": "nobody"},
        },
    }


def pid_of(cluster: Cluster, component: str) -> int:
    found = json.loads(cluster.tiphys("status", "-o", "json").stdout)
    [one] = [p for p in found["processes"] if p["component"] == component]
    return int(one["pid"])


def test_every_target_is_up(prometheus: Prometheus) -> None:
    until(
        lambda: prometheus.health() == {job: {"up"} for job in JOBS},
        SECONDS_MAX,
        "all targets up",
    )
    assert prometheus.value('sum(apiserver_request_total{resource="pods"})') > 0
    assert prometheus.value("sum(workqueue_adds_total)") > 0
    assert prometheus.value("count(machine_memory_bytes)") == 1
    # Before its first look Prometheus knows of nobody who is up.
    outages = {"TargetDown", "KubeAggregatedAPIDown", *DOWN.values()}
    until(lambda: not outages & prometheus.firing(), SECONDS_MAX, "no alert of an outage")


def test_alerts_fire_when_their_fault_is_made(
    cluster: Cluster, namespace: str, prometheus: Prometheus
) -> None:
    def kubectl(*words: str, stdin: str = "") -> str:
        return cluster.real(kubectls()[-1], "-n", namespace, *words, stdin=stdin)

    healthy = {job: {"up"} for job in JOBS}
    until(lambda: prometheus.health() == healthy, SECONDS_MAX, "all targets up")
    faults = [
        a_lost_api_service(namespace),
        a_pod("huge", "true", requests={"cpu": "1000"}),
        a_pod("throttled", "while :; do :; done", limits={"cpu": "50m"}),
        a_pod(
            "full",
            "dd if=/dev/zero of=/dev/shm/x bs=1M count=30 && sleep 1000",
            limits={"memory": "32Mi"},
        ),
    ]
    try:
        for fault in faults:
            kubectl("apply", "-f", "-", stdin=json.dumps(fault))
        wanted = {
            "KubeAggregatedAPIDown",
            "KubePodsUnschedulable",
            "CPUThrottlingHigh",
            "ContainerMemoryNearLimit",
        }
        until(lambda: wanted <= prometheus.firing(), SECONDS_MAX, f"{wanted} firing")
        stop_components(cluster, prometheus)
    finally:
        kubectl("delete", "apiservice", faults[0]["metadata"]["name"])
    gone = {"KubeAggregatedAPIDown", *DOWN.values()}
    until(lambda: not gone & prometheus.firing(), SECONDS_MAX, f"{gone} over")


def stop_components(cluster: Cluster, prometheus: Prometheus) -> None:
    """Freeze them until their alerts fire. The API server is the last: others ask it."""
    pids = {component: pid_of(cluster, component) for component in DOWN}
    frozen = []
    try:
        for component, alert in DOWN.items():
            os.kill(pids[component], signal.SIGSTOP)
            frozen.append(pids[component])
            wanted = {"TargetDown", alert}
            until(lambda: wanted <= prometheus.firing(), SECONDS_MAX, f"{wanted} firing")  # noqa: B023
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
