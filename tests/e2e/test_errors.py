"""Errors are a user's errors: what is wrong, where, and why."""

from typing import Any

from e2e.clusters import Cluster, until

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: %(image)s
    command: %(command)s
    resources: {requests: {cpu: "%(cpu)s"}}
"""


def a_pod(image: str = "busybox", command: str = '["sleep", "3600"]', cpu: str = "1m") -> str:
    return POD % {"image": image, "command": command, "cpu": cpu}


def _waiting(cluster: Cluster, namespace: str) -> str:
    statuses = cluster.get("pod", "p", "-n", namespace)["status"].get("containerStatuses") or [{}]
    found: Any = statuses[0].get("state", {}).get("waiting", {}).get("reason", "")
    return str(found)


def _events(cluster: Cluster, namespace: str) -> str:
    return cluster.kubectl("get", "events", "-n", namespace)


def test_an_image_that_does_not_exist(cluster: Cluster, namespace: str) -> None:
    manifest = a_pod(image="registry.k8s.io/no-such-image:1")
    cluster.kubectl("create", "-f", "-", "-n", namespace, stdin=manifest)
    until(lambda: _waiting(cluster, namespace) == "ImagePullBackOff", 60)
    events = _events(cluster, namespace)
    assert 'Failed to pull image "registry.k8s.io/no-such-image:1"' in events
    assert "Error: ErrImagePull" in events
    assert "Back-off pulling image" in events


def test_a_command_that_crashes(cluster: Cluster, namespace: str) -> None:
    manifest = a_pod(command='["sh", "-c", "exit 3"]')
    cluster.kubectl("create", "-f", "-", "-n", namespace, stdin=manifest)
    until(lambda: _waiting(cluster, namespace) == "CrashLoopBackOff", 60)
    status = cluster.get("pod", "p", "-n", namespace)["status"]["containerStatuses"][0]
    assert status["restartCount"] >= 1
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert "Back-off restarting failed container c in pod p" in _events(cluster, namespace)


def test_a_command_that_is_not_there(cluster: Cluster, namespace: str) -> None:
    manifest = a_pod(command='["/no/such/command"]')
    cluster.kubectl("create", "-f", "-", "-n", namespace, stdin=manifest)
    until(lambda: "no such file or directory" in _events(cluster, namespace), 60)


def test_a_pod_too_big_for_any_node(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "-f", "-", "-n", namespace, stdin=a_pod(cpu="1000"))
    text = "0/1 nodes are available: 1 Insufficient cpu."
    until(lambda: text in _events(cluster, namespace))
    assert cluster.get("pod", "p", "-n", namespace)["status"]["phase"] == "Pending"


def test_a_manifest_with_an_unknown_field(cluster: Cluster, namespace: str) -> None:
    manifest = a_pod().replace("image:", "imagine:")
    said = cluster.kubectl("create", "-f", "-", "-n", namespace, stdin=manifest, check=False)
    assert 'unknown field "spec.containers[0].imagine"' in said


def test_commands_say_what_is_not_there(cluster: Cluster, namespace: str) -> None:
    said = cluster.kubectl("get", "pod", "no", "-n", namespace, check=False)
    assert said == 'Error from server (NotFound): pods "no" not found\n'
    said = cluster.kubectl("get", "flying", check=False)
    assert 'the server doesn\'t have a resource type "flying"' in said
    assert 'unknown command "fly"' in cluster.kubectl("fly", "x", check=False)
