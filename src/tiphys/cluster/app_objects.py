"""The Deployment and the Service of a program that `tiphys run` runs. Pure."""

from typing import Any, Final

from tiphys.api.meta import Obj, at

MANAGER: Final = "tiphys-run"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"  # Upstream: recommended labels.
NAME: Final = "app.kubernetes.io/name"
REVISION: Final = "tiphys.io/revision"  # Which image and port a pod was made for.
GRACE_SECONDS: Final = 2  # A program as process 1 hears SIGTERM only when it handles it.
PORT: Final = 8080  # What $PORT says when the program does not choose.


def deployment(name: str, namespace: str, image: str, env: dict[str, str]) -> Obj:
    selector = {NAME: name, MANAGED_BY: MANAGER}
    # Whatever makes another pod is part of it, so that a new pod is never taken for an old one.
    revision = "-".join([image.rpartition(":")[2], *env.values()])
    labels = {**selector, REVISION: revision}
    container = {
        "name": "app",
        "image": image,
        "imagePullPolicy": "IfNotPresent",  # The tag is the content.
        "env": [{"name": key, "value": value} for key, value in env.items()],
    }
    spec: dict[str, Any] = {
        "containers": [container],
        "terminationGracePeriodSeconds": GRACE_SECONDS,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": selector},
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def service(name: str, namespace: str, port: int) -> Obj:
    selector = {NAME: name, MANAGED_BY: MANAGER}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": selector},
        "spec": {
            "type": "NodePort",
            "selector": selector,
            "ports": [{"port": port, "targetPort": port, "protocol": "TCP"}],
        },
    }


def is_ours(obj: Obj) -> bool:
    return bool(at(obj, "metadata", "labels", MANAGED_BY, default="") == MANAGER)


def failure(pod: Obj) -> str:
    """Why a pod will not serve, "" while it may. Its container ended, or cannot be started."""
    for row in at(pod, "status", "containerStatuses", default=[]):
        ended = at(row, "state", "terminated", default=None) or at(
            row, "lastState", "terminated", default=None
        )
        if ended:
            return f"the program ended with exit code {ended.get('exitCode', 0)}"
        waiting = at(row, "state", "waiting", default={})
        if waiting.get("reason", "") not in ("", "ContainerCreating", "PodInitializing"):
            return f"{waiting['reason']}: {waiting.get('message', '')}"
    return ""


def is_ready(pod: Obj) -> bool:
    conditions = at(pod, "status", "conditions", default=[])
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def serves_only(slices: Obj, pod: str) -> bool:
    """Whether the Service's endpoints are this pod and no older one."""
    names = [
        at(endpoint, "targetRef", "name", default="")
        for one in slices.get("items") or []
        for endpoint in one.get("endpoints") or []
        if at(endpoint, "conditions", "ready", default=False)
    ]
    return names == [pod]
