"""Objects that every cluster of ours has beside those that the API server makes itself.

As kubeadm applies its own after init: rights of the DNS server, the Service by which DNS is known,
the default StorageClass, and what makes the metrics server known. Applied at every start; what is
there already is left as it is.
"""

from typing import Final

from tiphys.api.meta import Obj
from tiphys.cluster import join_addons, logs_addon, metrics_addon
from tiphys.cluster.profile import Node, Profile
from tiphys.controllers.config import PROVISIONER

_RBAC: Final = "rbac.authorization.k8s.io"
DNS_ACCOUNT: Final = "coredns"
NODES: Final = "/api/v1/nodes"
MASTER_LABEL: Final = "node-role.kubernetes.io/control-plane"


def manifests(profile: Profile) -> list[tuple[str, Obj]]:
    """(collection path, object) in the order of making them."""
    rbac = f"/apis/{_RBAC}/v1"
    # First of all: nodes register themselves meanwhile.
    found = [(NODES, _master(node)) for node in profile.masters]
    found += [
        (f"{rbac}/clusterroles", _dns_role()),
        (f"{rbac}/clusterrolebindings", _dns_binding()),
        (f"{rbac}/namespaces/kube-system/roles", _dns_settings_role()),
        (f"{rbac}/namespaces/kube-system/rolebindings", _dns_settings_binding()),
        (f"{rbac}/clusterroles", _policy_role()),
        (f"{rbac}/clusterrolebindings", _policy_binding()),
    ]
    if profile.has_pods:
        found.append(("/api/v1/namespaces/kube-system/services", _dns_service(profile)))
        found.append(("/apis/storage.k8s.io/v1/storageclasses", _storage_class()))
        found += metrics_addon.manifests(profile)
        found += logs_addon.manifests(profile)
    if profile.ingress:
        from tiphys.cluster.ingress import manifests as ingress

        found += ingress.manifests()
    if profile.listen:
        found += join_addons.manifests(profile)
    return found


def _master(node: Node) -> Obj:
    """Marked before its kubelet registers it, or soon after, as kubeadm does.

    Kubelets may not give themselves a role (admission plugin NodeRestriction).
    """
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": {MASTER_LABEL: ""}},
        "spec": {"taints": [{"key": MASTER_LABEL, "effect": "NoSchedule"}]},
    }


def _dns_role() -> Obj:
    return _role(
        "tiphys-dns",
        _rule("", "endpoints", "services", "pods", "namespaces"),
        _rule("discovery.k8s.io", "endpointslices"),
    )


def _dns_binding() -> Obj:
    account = {"kind": "ServiceAccount", "name": DNS_ACCOUNT, "namespace": "kube-system"}
    return _binding("tiphys-dns", account)


def _dns_settings_role() -> Obj:
    """Reading the ConfigMap with stub domains, and telling what is wrong with it."""
    read = _rule("", "configmaps") | {"resourceNames": ["kube-dns"]}
    tell = _rule("", "events") | {"verbs": ["create", "patch"]}
    return _role("tiphys-dns", read, tell, kind="Role", namespace="kube-system")


def _dns_settings_binding() -> Obj:
    account = {"kind": "ServiceAccount", "name": DNS_ACCOUNT, "namespace": "kube-system"}
    return _binding("tiphys-dns", account, kind="Role", namespace="kube-system")


def _policy_role() -> Obj:
    """What the policy agents of nodes read."""
    policies = _rule("networking.k8s.io", "networkpolicies")
    return _role("tiphys-network-policies", policies, _rule("", "pods", "namespaces"))


def _policy_binding() -> Obj:
    """The agent shares the proxy's process and name."""
    user = {"kind": "User", "name": "system:kube-proxy", "apiGroup": _RBAC}
    return _binding("tiphys-network-policies", user)


def _rule(group: str, *resources: str) -> Obj:
    return {"apiGroups": [group], "resources": list(resources), "verbs": ["list", "watch"]}


def _role(name: str, *rules: Obj, kind: str = "ClusterRole", namespace: str = "") -> Obj:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": kind,
        "metadata": _named(name, namespace),
        "rules": list(rules),
    }


def _binding(name: str, subject: Obj, kind: str = "ClusterRole", namespace: str = "") -> Obj:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": _named(name, namespace),
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name},
        "subjects": [subject],
    }


def _named(name: str, namespace: str) -> Obj:
    return {"name": name} | ({"namespace": namespace} if namespace else {})


def _storage_class() -> Obj:
    """The default class: a directory on the node of the first pod that uses the claim."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _dns_service(profile: Profile) -> Obj:
    """Answered on every node by the node's own DNS server, so no proxy may touch it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {
                "k8s-app": "kube-dns",
                "kubernetes.io/name": "CoreDNS",
                "service.kubernetes.io/service-proxy-name": "tiphys-dns",
            },
        },
        "spec": {
            "clusterIP": profile.dns_service,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
            ],
        },
    }
