"""Quotas, limits and priorities, as a user meets them with a real kubectl."""

import json
from pathlib import Path
from typing import Any

import pytest

from e2e.clusters import Cluster, is_ready, kubectls, until

pytestmark = pytest.mark.parametrize("client", kubectls()[-1:], ids=lambda p: p.name)
PORT = 34567  # What both pods want of the node.


def a_pod(name: str, priority: str) -> str:
    container = {
        "name": "c",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "3600"],
        "ports": [{"containerPort": 80, "hostPort": PORT}],
    }
    spec = {
        "priorityClassName": priority,
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def test_a_quota_stops_a_deployment_and_lets_it_go_on(
    cluster: Cluster, client: Path, namespace: str
) -> None:
    def kubectl(*words: str, check: bool = True) -> str:
        return cluster.real(client, "-n", namespace, *words, check=check)

    def quota() -> Any:
        return json.loads(kubectl("get", "quota", "q", "-o", "json")).get("status", {})

    kubectl("create", "quota", "q", "--hard=pods=2,secrets=1")
    until(lambda: quota().get("hard"), what="the quota is known")
    kubectl("create", "secret", "generic", "one")
    refused = kubectl("create", "secret", "generic", "two", check=False)
    assert 'secrets "two" is forbidden: exceeded quota: q, requested: secrets=1' in refused
    words = ("--image=busybox", "--replicas=3", "--", "sleep", "3600")
    kubectl("create", "deployment", "d", *words)
    until(lambda: "exceeded quota: q" in kubectl("get", "events"), what="an event says why")
    assert quota()["used"]["pods"] == "2"
    kubectl("patch", "quota", "q", "-p", '{"spec":{"hard":{"pods":"3"}}}')
    until(lambda: quota()["used"]["pods"] == "3", what="the third pod")
    kubectl("delete", "secret", "one")
    until(lambda: quota()["used"]["secrets"] == "0", what="the secret is given back")


def test_a_container_gets_the_limits_of_its_namespace(
    cluster: Cluster, client: Path, namespace: str
) -> None:
    limits = {"type": "Container", "default": {"memory": "64Mi"}, "max": {"memory": "128Mi"}}
    limit_range = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "l"},
        "spec": {"limits": [limits]},
    }
    where = ("-n", namespace)
    cluster.real(client, *where, "apply", "-f", "-", stdin=json.dumps(limit_range))
    cluster.real(client, *where, "run", "p", "--image=busybox", "--", "sleep", "3600")
    pod = json.loads(cluster.real(client, *where, "get", "pod", "p", "-o", "json"))
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"memory": "64Mi"}
    big = {"spec": {"containers": [{"name": "q", "resources": {"limits": {"memory": "1Gi"}}}]}}
    words = ("run", "q", "--image=busybox", f"--overrides={json.dumps(big)}")
    refused = cluster.real(client, *where, *words, "--override-type=strategic", check=False)
    assert "maximum memory usage per Container is 128Mi, but limit is 1Gi" in refused


def test_a_more_important_pod_takes_the_place_of_a_lesser_one(
    cluster: Cluster, client: Path, namespace: str
) -> None:
    def kubectl(*words: str, stdin: str = "") -> str:
        return cluster.real(client, "-n", namespace, *words, stdin=stdin)

    def is_running(name: str) -> bool:
        return is_ready(json.loads(kubectl("get", "pod", name, "-o", "json")))

    for name, value in (("low", 1), ("high", 1000)):
        kubectl("create", "priorityclass", f"{namespace}-{name}", f"--value={value}")
    try:
        kubectl("apply", "-f", "-", stdin=a_pod("low", f"{namespace}-low"))
        until(lambda: is_running("low"), what="the lesser pod runs")
        kubectl("apply", "-f", "-", stdin=a_pod("high", f"{namespace}-high"))
        until(lambda: is_running("high"), what="the more important pod runs")
        assert kubectl("get", "pods", "-o", "name").split() == ["pod/high"]
        events = kubectl("get", "events", "--field-selector=reason=Preempted")
        assert "Preempted by pod" in events
    finally:
        kubectl("delete", "priorityclass", f"{namespace}-low", f"{namespace}-high")


def test_a_network_policy_lets_only_friends_in(
    cluster: Cluster, client: Path, namespace: str
) -> None:
    def kubectl(*words: str, stdin: str = "", check: bool = True) -> str:
        return cluster.real(client, "-n", namespace, *words, stdin=stdin, check=check)

    def pod(name: str) -> Any:
        return json.loads(kubectl("get", "pod", name, "-o", "json"))

    def reaches(source: str) -> bool:
        address = pod("server")["status"]["podIP"]
        command = ("wget", "-q", "-T", "1", "-O", "-", f"http://{address}:8080/hello")
        return "hi" in kubectl("exec", source, "--", *command, check=False)

    serve = "mkdir /w && echo hi > /w/hello && exec httpd -f -p 8080 -h /w"
    kubectl("run", "server", "--image=busybox", "--labels=app=server", "--", "sh", "-c", serve)
    for name in ("friend", "stranger"):
        words = ("--image=busybox", f"--labels=app={name}", "--", "sleep", "3600")
        kubectl("run", name, *words)
    kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
    until(lambda: reaches("friend") and reaches("stranger"), what="everybody reaches the server")
    friends = {"podSelector": {"matchLabels": {"app": "friend"}}}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "friends"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "server"}},
            "ingress": [{"from": [friends], "ports": [{"port": 8080}]}],
        },
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(policy))
    until(lambda: not reaches("stranger"), what="the stranger is kept out")
    assert reaches("friend")
    kubectl("label", "pod", "stranger", "app=friend", "--overwrite")
    until(lambda: reaches("stranger"), what="a friend now")
    kubectl("delete", "networkpolicy", "friends")
    kubectl("label", "pod", "stranger", "app=stranger", "--overwrite")
    until(lambda: reaches("stranger"), what="no policy any more")
