"""What makes the cluster's log known: the rights of its agent, who may push lines, and where.

The agent has the metrics server's name, whose process it shares, and so reads pods already.
"""

from typing import Final

from tiphys.api.meta import Obj
from tiphys.cluster.profile import Profile

_RBAC: Final = "rbac.authorization.k8s.io"
AGENT: Final = "tiphys:log-agent"
WRITER: Final = "tiphys:log-writer"
PUSH_PATH: Final = "/loki/api/v1/push"
NAME: Final = "tiphys-logs"
NAMESPACE: Final = "kube-system"
PORT: Final = 10271  # Beside the registry's, below the ports that are given out.
_USER: Final = "system:serviceaccount:kube-system:metrics-server"

Placed = tuple[str, Obj]
"""(collection path, object)"""


def manifests(profile: Profile) -> list[Placed]:
    """In the order of making them. WRITER is bound to nobody: whoever pushes lines is given it."""
    events = {"apiGroups": [""], "resources": ["events"], "verbs": ["get", "list", "watch"]}
    push = {"nonResourceURLs": [PUSH_PATH], "verbs": ["post"]}
    mine = f"namespaces/{NAMESPACE}"
    return [
        _role(AGENT, events),
        _binding(AGENT, _USER),
        _role(WRITER, push),
        (f"/api/v1/{mine}/services", _service()),
        (f"/apis/discovery.k8s.io/v1/{mine}/endpointslices", _endpoint_slice(profile.gateway)),
    ]


def _role(name: str, rule: Obj) -> Placed:
    head = {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole"}
    obj = {**head, "metadata": {"name": name}, "rules": [rule]}
    return f"/apis/{_RBAC}/v1/clusterroles", obj


def _binding(role: str, user: str) -> Placed:
    obj = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": user, "apiGroup": _RBAC}],
    }
    return f"/apis/{_RBAC}/v1/clusterrolebindings", obj


def _service() -> Obj:
    """For pods: https://tiphys-logs.kube-system.svc:3100, as agents expect Loki."""
    port = {"name": "https", "port": 3100, "protocol": "TCP", "targetPort": PORT}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"ports": [port]},
    }


def _endpoint_slice(address: str) -> Obj:
    labels = {
        "kubernetes.io/service-name": NAME,
        "endpointslice.kubernetes.io/managed-by": "tiphys",
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": PORT, "protocol": "TCP"}],
    }
