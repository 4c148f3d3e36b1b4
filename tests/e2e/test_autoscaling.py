"""HorizontalPodAutoscalers follow what pods really use: up under load, down without."""

import json
from typing import Any

from e2e.clusters import Cluster, kubectls, until

# Uses what it may until the file is there.
WORK = "while :; do if [ -e /tmp/idle ]; then sleep 1; fi; done"
SCALE_SECONDS_MAX = 120.0  # Upstream's loop runs each 15 s and wants metrics of ready pods.


def deployment() -> dict[str, Any]:
    container = {
        "name": "c",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", WORK],
        "resources": {"requests": {"cpu": "50m"}, "limits": {"cpu": "100m"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "load"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "load"}},
            "template": {
                "metadata": {"labels": {"app": "load"}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
            },
        },
    }


def autoscaler() -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": 100}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "load"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "load"},
            "minReplicas": 1,
            "maxReplicas": 2,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        },
    }


def test_a_loaded_deployment_scales_up_and_down(cluster: Cluster, namespace: str) -> None:
    client = kubectls()[-1]

    def kubectl(*words: str, stdin: str = "") -> str:
        return cluster.real(client, "-n", namespace, *words, stdin=stdin)

    def replicas() -> int:
        return int(json.loads(kubectl("get", "deploy", "load", "-o", "json"))["spec"]["replicas"])

    for made in (deployment(), autoscaler()):
        kubectl("apply", "-f", "-", stdin=json.dumps(made))
    until(lambda: replicas() == 2, SCALE_SECONDS_MAX, "two replicas under load")
    kubectl("wait", "--for=condition=Available", "deploy/load", "--timeout=60s")
    pods = kubectl("get", "pods", "-o", "name").split()
    assert len(pods) == 2
    for pod in pods:
        kubectl("exec", pod, "--", "touch", "/tmp/idle")
    until(lambda: replicas() == 1, SCALE_SECONDS_MAX, "one replica without load")
    found = json.loads(kubectl("get", "hpa", "load", "-o", "json"))["status"]
    [metric] = found["currentMetrics"]
    assert metric["resource"]["current"]["averageUtilization"] < 100
