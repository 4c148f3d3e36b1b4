"""What makes the metrics server known: its rights, where it is, and the API group it serves.

It runs on the host, so its Service has no selector and its endpoint is written here.
Upstream: metrics-server manifests/base.
"""

import base64
from typing import Final

from tiphys.api.meta import Obj
from tiphys.cluster.pki import PROMETHEUS
from tiphys.cluster.profile import Profile
from tiphys.metrics_server import history_api
from tiphys.metrics_server.config import PORT
from tiphys.metrics_server.discovery import GROUP, VERSION
from tiphys.metrics_server.targets import PATH as TARGETS

_RBAC: Final = "rbac.authorization.k8s.io"
NAME: Final = "metrics-server"
DELEGATOR: Final = f"{NAME}:system:auth-delegator"  # It asks who may read its metrics.
API_SERVICES: Final = "/apis/apiregistration.k8s.io/v1/apiservices"
NAMESPACE: Final = "kube-system"
_LABELS: Final = {"k8s-app": NAME}
_AGGREGATED: Final = "rbac.authorization.k8s.io/aggregate-to-{}"


def manifests(profile: Profile) -> list[tuple[str, Obj]]:
    """(collection path, object) in the order of making them."""
    rbac, mine = f"/apis/{_RBAC}/v1", f"namespaces/{NAMESPACE}"
    return [
        (f"{rbac}/clusterroles", _reader_role()),
        (f"{rbac}/clusterroles", _server_role()),
        (f"{rbac}/clusterrolebindings", _binding(f"system:{NAME}", f"system:{NAME}")),
        (f"{rbac}/clusterrolebindings", _binding(DELEGATOR, "system:auth-delegator")),
        (f"{rbac}/clusterroles", _prometheus_role()),
        (f"{rbac}/clusterrolebindings", _prometheus_binding()),
        (f"/api/v1/{mine}/services", _service()),
        (f"/apis/discovery.k8s.io/v1/{mine}/endpointslices", _endpoint_slice(profile.gateway)),
        (API_SERVICES, _api_service(profile, GROUP, VERSION)),
        (API_SERVICES, _api_service(profile, history_api.GROUP, history_api.VERSION)),
    ]


def _reader_role() -> Obj:
    """Whoever may view, may see what is used."""
    labels = {_AGGREGATED.format(role): "true" for role in ("admin", "edit", "view")}
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {
            "name": "system:aggregated-metrics-reader",
            "labels": _LABELS | labels,
        },
        "rules": [
            {
                "apiGroups": [GROUP],
                "resources": ["pods", "nodes"],
                "verbs": ["get", "list", "watch"],
            },
            {
                "apiGroups": [history_api.GROUP],
                "resources": ["nodehistories", "podhistories"],
                "verbs": ["get"],
            },
        ],
    }


def _server_role() -> Obj:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"system:{NAME}", "labels": _LABELS},
        "rules": [
            {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
        ],
    }


def _binding(name: str, role: str) -> Obj:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": _LABELS},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }


def _prometheus_role() -> Obj:
    """The configuration of `tiphys metrics config` finds nodes by asking the metrics server."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "tiphys:prometheus"},
        "rules": [{"nonResourceURLs": [f"{TARGETS}/*"], "verbs": ["get"]}],
    }


def _prometheus_binding() -> Obj:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "tiphys:prometheus"},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "tiphys:prometheus"},
        "subjects": [{"kind": "User", "name": PROMETHEUS, "apiGroup": _RBAC}],
    }


def _service() -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": _LABELS},
        "spec": {"ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": PORT}]},
    }


def _endpoint_slice(address: str) -> Obj:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": _LABELS
            | {
                "kubernetes.io/service-name": NAME,
                "endpointslice.kubernetes.io/managed-by": "tiphys",
            },
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": PORT, "protocol": "TCP"}],
    }


def _api_service(profile: Profile, group: str, version: str) -> Obj:
    authority = (profile.pki / "ca.crt").read_bytes()
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}", "labels": _LABELS},
        "spec": {
            "group": group,
            "version": version,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"namespace": NAMESPACE, "name": NAME, "port": 443},
            "caBundle": base64.b64encode(authority).decode(),
        },
    }
