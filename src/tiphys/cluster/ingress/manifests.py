"""What the Ingress controller needs in the API: its class, its account, its rights.

Upstream: ingress-nginx deploy/static, less what it does not ask for here.
"""

from typing import Final

from tiphys.api.meta import Obj

NAMESPACE: Final = "ingress-nginx"
ACCOUNT: Final = "ingress-nginx"
USER: Final = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
CLASS: Final = "nginx"
_RBAC: Final = "rbac.authorization.k8s.io"
_NETWORKING: Final = "networking.k8s.io"
_LABELS: Final = {
    "app.kubernetes.io/name": "ingress-nginx",
    "app.kubernetes.io/instance": "ingress-nginx",
    "app.kubernetes.io/component": "controller",
}
_READ: Final = ("get", "list", "watch")
SPACE: Final = f"/api/v1/namespaces/{NAMESPACE}"
CLASS_PATH: Final = f"/apis/{_NETWORKING}/v1/ingressclasses/{CLASS}"
INGRESSES: Final = f"/apis/{_NETWORKING}/v1/ingresses"


def manifests() -> list[tuple[str, Obj]]:
    """(collection path, object) in the order of making them."""
    rbac = f"/apis/{_RBAC}/v1"
    return [
        ("/api/v1/namespaces", _object("v1", "Namespace", NAMESPACE)),
        (f"{SPACE}/serviceaccounts", _account()),
        (f"{rbac}/clusterroles", _role()),
        (f"{rbac}/clusterrolebindings", _binding()),
        (f"/apis/{_NETWORKING}/v1/ingressclasses", _class()),
    ]


def _object(version: str, kind: str, name: str) -> Obj:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": _LABELS}}


def _account() -> Obj:
    found = _object("v1", "ServiceAccount", ACCOUNT)
    found["metadata"]["namespace"] = NAMESPACE
    return found


def _role() -> Obj:
    return _object(f"{_RBAC}/v1", "ClusterRole", ACCOUNT) | {
        "rules": [
            _rule("", ["secrets", "services"], _READ),
            _rule("discovery.k8s.io", ["endpointslices"], _READ),
            _rule(_NETWORKING, ["ingresses", "ingressclasses"], _READ),
            _rule(_NETWORKING, ["ingresses/status"], ("patch", "update")),
            _rule("", ["events"], ("create", "patch")),
        ]
    }


def _rule(group: str, resources: list[str], verbs: tuple[str, ...]) -> Obj:
    return {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}


def _binding() -> Obj:
    return _object(f"{_RBAC}/v1", "ClusterRoleBinding", ACCOUNT) | {
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": ACCOUNT},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}],
    }


def _class() -> Obj:
    """The default one, so that manifests without a class work, as in minikube."""
    found = _object(f"{_NETWORKING}/v1", "IngressClass", CLASS)
    found["metadata"]["annotations"] = {"ingressclass.kubernetes.io/is-default-class": "true"}
    return found | {"spec": {"controller": "k8s.io/ingress-nginx"}}
