"""The dashboard's objects, named as those of Kubernetes Dashboard, so that its address is the same.

Its account has no rights: the browser is the API client, with the rights of who runs the proxy.
"""

from collections.abc import Sequence
from typing import Final

from tiphys.api.meta import Obj
from tiphys.cluster.dashboard.bundle import PORT

NAMESPACE: Final = "kubernetes-dashboard"
NAME: Final = "kubernetes-dashboard"
LABELS: Final = {"k8s-app": NAME}
SPACE: Final = f"/api/v1/namespaces/{NAMESPACE}"
DEPLOYMENT: Final = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}"
PODS: Final = f"{SPACE}/pods"
# With the name of no port: the Service's only one (upstream services/proxy).
ADDRESS: Final = f"{SPACE}/services/http:{NAME}:/proxy/"

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def manifests(image: str, nodes: Sequence[str]) -> list[tuple[str, Obj]]:
    """(path, object) in the order of applying them. nodes: those whose registry has the image."""
    return [
        (SPACE, _object("v1", "Namespace", NAMESPACE, namespaced=False)),
        (f"{SPACE}/serviceaccounts/{NAME}", _object("v1", "ServiceAccount", NAME)),
        (f"{SPACE}/services/{NAME}", _service()),
        (DEPLOYMENT, _deployment(image, nodes)),
    ]


def _object(version: str, kind: str, name: str, *, namespaced: bool = True) -> Obj:
    meta: Obj = {"name": name, "labels": dict(LABELS)}
    if namespaced:
        meta["namespace"] = NAMESPACE
    return {"apiVersion": version, "kind": kind, "metadata": meta}


def _service() -> Obj:
    ports = [{"port": 80, "targetPort": PORT, "protocol": "TCP"}]
    return {**_object("v1", "Service", NAME), "spec": {"selector": LABELS, "ports": ports}}


def _deployment(image: str, nodes: Sequence[str]) -> Obj:
    container = {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1},
        "resources": {
            "requests": {"cpu": "10m", "memory": "8Mi"},
            "limits": {"memory": "64Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    pod = {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        "affinity": {"nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": _terms(nodes)}}},
        "containers": [container],
    }
    return {
        **_object("apps/v1", "Deployment", NAME),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": pod},
        },
    }


def _terms(nodes: Sequence[str]) -> list[Obj]:
    """One term per node: a field is compared with one value only (upstream validation)."""
    return [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        for node in nodes
    ]
