"""The learner's session, word for word, with the oldest and the newest kubectl."""

import re
import subprocess
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from e2e.clusters import Cluster, kubectls, until

IMAGE = "gcr.io/hello-minikube-zero-install/hello-node"
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: f}\ndata: {a: b}\n"
needs_kubectl = pytest.mark.skipif(not kubectls(), reason="no kubectl on PATH")


def _fetch(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


@needs_kubectl
@pytest.mark.parametrize("kubectl", kubectls(), ids=lambda p: p.name)
def test_the_session(cluster: Cluster, namespace: str, kubectl: Path, tmp_path: Path) -> None:
    def k(*arguments: str, check: bool = True) -> str:
        return cluster.real(kubectl, "-n", namespace, *arguments, check=check)

    created = k("create", "deployment", "hello-node", f"--image={IMAGE}")
    assert created == "deployment.apps/hello-node created\n"
    k("rollout", "status", "deployment/hello-node", "--timeout=30s")
    assert re.search(r"^hello-node +1/1 +1 +1 ", k("get", "deployments"), re.M)
    assert re.search(r"^hello-node-[a-z0-9]+-[a-z0-9]{5} +1/1 +Running +0 ", k("get", "pods"), re.M)
    pod = k("get", "pods", "-o", "name").strip()
    assert "Successfully assigned" in k("describe", pod)
    _events(k("get", "events"))
    exposed = k("expose", "deployment", "hello-node", "--type=LoadBalancer", "--port=8080")
    assert exposed == "service/hello-node exposed\n"
    services = k("get", "services")
    assert re.search(
        r"^hello-node +LoadBalancer +10\.[0-9.]+ +\S+ +8080:3[0-9]{4}/TCP", services, re.M
    )
    _answers(cluster, namespace, k)
    _names(namespace, pod, k)
    _files(k, tmp_path)
    assert 'service "hello-node" deleted' in k("delete", "service", "hello-node")
    deleted = k("delete", "deployment", "hello-node")
    assert 'deployment.apps "hello-node" deleted' in deleted
    assert k("get", "deployments") == f"No resources found in {namespace} namespace.\n"
    until(lambda: k("get", "pods", "-o", "name") == "", 40, "the pods go too")


def _events(text: str) -> None:
    for reason, about in (
        ("Scheduled", "pod/"),
        ("Pulling", "pod/"),
        ("Pulled", "pod/"),
        ("Created", "pod/"),
        ("Started", "pod/"),
        ("SuccessfulCreate", "replicaset.apps/|replicaset/"),
        ("ScalingReplicaSet", "deployment/|deployment.apps/"),
    ):
        assert re.search(rf"Normal +{reason} +({about})hello-node", text), reason


def _answers(cluster: Cluster, namespace: str, k: object) -> None:
    assert callable(k)
    table = cluster.run(["service", "hello-node", "-n", namespace])
    assert "| NAMESPACE |" in table
    url = cluster.run(["service", "hello-node", "-n", namespace, "--url"]).strip()
    until(lambda: "Hello World!" in _fetch(url), what=url)
    path = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    address = until(lambda: k("get", "service", "hello-node", "-o", path))
    until(lambda: "Hello World!" in _fetch(f"http://{address}:8080"), what=address)


def _names(namespace: str, pod: str, k: object) -> None:
    assert callable(k)
    address = k("get", "service", "hello-node", "-o", "jsonpath={.spec.clusterIP}")
    for name in (
        "hello-node",
        f"hello-node.{namespace}",
        f"hello-node.{namespace}.svc.cluster.local",
    ):
        found = k("exec", pod, "--", "wget", "-qO-", "-T", "3", f"http://{name}:8080")
        assert "Hello World!" in found, "also from the pod behind the Service itself"
    full = f"hello-node.{namespace}.svc.cluster.local"
    assert address in k("exec", pod, "--", "nslookup", full)


def _files(k: object, tmp_path: Path) -> None:
    assert callable(k)
    path = tmp_path / "f.yaml"
    path.write_text(CONFIG_MAP)
    assert k("create", "-f", str(path)) == "configmap/f created\n"
    assert "configmap/f configured" in k("apply", "-f", str(path))
    assert k("apply", "-f", str(path)) == "configmap/f unchanged\n"
    assert 'configmap "f" deleted' in k("delete", "-f", str(path))
    path.write_text(CONFIG_MAP.replace("data:", "dota:"))
    refused = k("create", "-f", str(path), check=False)
    assert "unknown field" in refused or "dota" in refused


def test_three_replicas_share_the_requests_and_a_killed_one_comes_back(
    cluster: Cluster, namespace: str
) -> None:
    def k(*arguments: str) -> str:
        return cluster.kubectl("-n", namespace, *arguments)

    image = "busybox"
    serve = "mkdir -p /www && hostname > /www/index.html && exec httpd -f -p 8080 -h /www"
    k("create", "deployment", "web", f"--image={image}", "--", "sh", "-c", serve)
    k("expose", "deployment", "web", "--port=8080", "--type=NodePort")
    k("scale", "deployment", "web", "--replicas=3")
    pods = until(
        lambda: (p := cluster.running_pods("app=web", namespace)) and len(p) == 3 and p, 60
    )
    names = {p["metadata"]["name"] for p in pods}
    url = cluster.run(["service", "web", "-n", namespace, "--url"]).strip()
    until(lambda: _fetch(url))
    seen: Counter[str] = Counter()

    def all_seen() -> bool:
        seen.update(_fetch(url).strip() for _ in range(10))
        return names <= set(seen)

    until(all_seen, what="all three answer")
    _kill_one(cluster, namespace, pods[0])


def _kill_one(cluster: Cluster, namespace: str, pod: dict[str, dict[str, object]]) -> None:
    from e2e.clusters import container_processes

    name = str(pod["metadata"]["name"])
    found = cluster.get("pod", name, "-n", namespace)["status"]["containerStatuses"][0]
    container = found["containerID"].split("://")[1]
    first = min(container_processes(container))
    subprocess.run(["kill", "-9", str(first[0])], check=True)

    def restarted() -> bool:
        status = cluster.get("pod", name, "-n", namespace)["status"]["containerStatuses"][0]
        return bool(status["restartCount"] == 1 and status["ready"])

    until(restarted, 60, "RESTARTS counts it")


def test_node_events_and_the_kubernetes_service(cluster: Cluster) -> None:
    events = cluster.kubectl("get", "events", "-n", "default")
    for reason in (
        "Starting",
        "NodeHasSufficientMemory",
        "NodeHasNoDiskPressure",
        "NodeHasSufficientPID",
        "NodeAllocatableEnforced",
        "RegisteredNode",
    ):
        assert re.search(rf"Normal +{reason} +node/{cluster.name} ", events), reason
    assert "Starting kubelet." in events
    assert "Starting kube-proxy." in events
    services = cluster.kubectl("get", "services")
    assert re.search(r"kubernetes +ClusterIP +10\.[0-9.]+ +<none> +443/TCP", services)


def test_the_same_names_in_two_namespaces_are_told_apart(cluster: Cluster, namespace: str) -> None:
    other = f"{namespace}x"
    cluster.kubectl("create", "namespace", other)
    addresses = {}
    for space in (namespace, other):
        cluster.kubectl(
            "-n", space, "create", "deployment", "web", "--image=busybox", "--", "sleep", "3600"
        )
        cluster.kubectl("expose", "deployment", "web", "--port=80", "-n", space)
        service = cluster.get("service", "web", "-n", space)
        addresses[space] = service["spec"]["clusterIP"]
    assert addresses[namespace] != addresses[other]
    (pod,) = until(lambda: cluster.running_pods("app=web", namespace), 60)
    name = pod["metadata"]["name"]

    def resolved(host: str) -> str:
        return cluster.kubectl("exec", name, "-n", namespace, "--", "nslookup", host, check=False)

    until(lambda: addresses[namespace] in resolved("web"))
    until(lambda: addresses[other] in resolved(f"web.{other}.svc.cluster.local"))
    assert len(cluster.get("pods", "-n", other)["items"]) == 1
    cluster.kubectl("delete", "namespace", other, "--wait=false")
