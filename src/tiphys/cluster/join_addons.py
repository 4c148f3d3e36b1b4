"""Objects by which other machines can join a cluster, named as kubeadm names its own.

Made only for a cluster that listens for other machines. Machines with a bootstrap token may read
how the cluster is set up and ask for a certificate; nodes may renew theirs and read what a node's
proxy, network agent and DNS server need.
Upstream: cmd/kubeadm/app/phases/bootstraptoken (node, clusterinfo).
"""

import json
from collections.abc import Sequence
from typing import Final

from tiphys.api.bootstrap_token import NODE_GROUP
from tiphys.api.meta import Obj
from tiphys.client import kubeconfig
from tiphys.cluster import access
from tiphys.cluster.profile import Profile

_RBAC: Final = "rbac.authorization.k8s.io"
_NODES: Final = "system:nodes"
_CERTIFICATES: Final = "system:certificates.k8s.io:certificatesigningrequests"
CONFIG_NAME: Final = "tiphys-config"
CONFIG_KEY: Final = "ClusterConfiguration"  # kubeadm's key.
APPROVER: Final = "tiphys:kubelet-serving-approver"
NODE_NETWORK: Final = "tiphys:node-network"

_FOLLOW: Final = ("get", "list", "watch")

Placed = tuple[str, Obj]
"""(collection path, object)"""


def manifests(profile: Profile) -> list[Placed]:
    """Everything, in the order of making it."""
    return [
        *_bootstrap_rights(),
        *_approver_rights(),
        *_node_network_rights(),
        *_readable("kube-public", "kubeadm:bootstrap-signer-clusterinfo", "cluster-info", _NOBODY),
        *_readable("kube-system", "tiphys:nodes-config", CONFIG_NAME, _MACHINES),
        *_readable("kube-system", "tiphys:nodes-dns", "kube-dns", [_group(_NODES)], _FOLLOW),
        ("/api/v1/namespaces/kube-public/configmaps", cluster_info(profile)),
        ("/api/v1/namespaces/kube-system/configmaps", cluster_config(profile)),
    ]


def cluster_info(profile: Profile) -> Obj:
    """Where the cluster is and its authority; the bootstrap signer adds the signatures."""
    entry = access.cluster_entry(profile, profile.server)
    document = kubeconfig.document("", entry, {})
    found = json.loads(document) | {"users": [], "contexts": [], "current-context": ""}
    return _config_map("kube-public", "cluster-info", {"kubeconfig": json.dumps(found, indent=2)})


def cluster_config(profile: Profile) -> Obj:
    """What a joining machine must know of the cluster beside its address. Nothing is secret."""
    known = {
        "clientCA": (profile.pki / "client-ca.crt").read_text(),
        "podSubnet": profile.pod_cidr,
        "serviceSubnet": profile.service_cidr,
        "loadBalancerPool": profile.load_balancer_pool,
        "overlay": profile.overlay,
        "proxyMode": profile.proxy_mode,
        "externalCloud": profile.external_cloud,
    }
    return _config_map("kube-system", CONFIG_NAME, {CONFIG_KEY: json.dumps(known, indent=2)})


def _config_map(namespace: str, name: str, data: dict[str, str]) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def _bootstrap_rights() -> list[Placed]:
    get_nodes = _role("ClusterRole", "kubeadm:get-nodes", "", [_rule("", "nodes", "get")])
    return [
        get_nodes,
        _binding("kubeadm:get-nodes", "kubeadm:get-nodes", [_group(NODE_GROUP)]),
        _binding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", [_group(NODE_GROUP)]),
        _binding(
            "kubeadm:node-autoapprove-bootstrap",
            f"{_CERTIFICATES}:nodeclient",
            [_group(NODE_GROUP)],
        ),
        _binding(
            "kubeadm:node-autoapprove-certificate-rotation",
            f"{_CERTIFICATES}:selfnodeclient",
            [_group(_NODES)],
        ),
    ]


def _approver_rights() -> list[Placed]:
    """Of the controller that approves kubelets' server certificates."""
    signer = _rule("certificates.k8s.io", "signers", "approve")
    signer["resourceNames"] = ["kubernetes.io/kubelet-serving"]
    update = _rule("certificates.k8s.io", "certificatesigningrequests/approval", "update")
    account = {
        "kind": "ServiceAccount",
        "name": "kubelet-serving-approver",
        "namespace": "kube-system",
    }
    return [
        _role("ClusterRole", APPROVER, "", [signer, update]),
        _binding(APPROVER, APPROVER, [account]),
    ]


def _node_network_rights() -> list[Placed]:
    """What a joined node reads for its proxy, policies, network agent and DNS: nothing secret.

    Whose pods a policy lets in is known only to who can see all pods, so every network add-on that
    keeps policies may (upstream: kube-network-policies, Calico's calico-node).
    """
    rules = [
        _rule("", "services", "list", "watch"),
        _rule("", "endpoints", "list", "watch"),
        _rule("", "nodes", "get", "list", "watch"),
        _rule("", "namespaces", "list", "watch"),
        _rule("", "pods", "list", "watch"),
        _rule("discovery.k8s.io", "endpointslices", "list", "watch"),
        _rule("networking.k8s.io", "networkpolicies", "list", "watch"),
        _rule("networking.k8s.io", "servicecidrs", "list", "watch"),
    ]
    role = _role("ClusterRole", NODE_NETWORK, "", rules)
    return [role, _binding(NODE_NETWORK, NODE_NETWORK, [_group(_NODES)])]


def _readable(
    namespace: str, name: str, config_map: str, who: list[Obj], verbs: Sequence[str] = ("get",)
) -> list[Placed]:
    """Who may read one ConfigMap."""
    rule = _rule("", "configmaps", *verbs) | {"resourceNames": [config_map]}
    return [
        _role("Role", name, namespace, [rule]),
        _binding(name, name, who, namespace),
    ]


def _rule(group: str, resource: str, *verbs: str) -> Obj:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}


def _group(name: str) -> Obj:
    return {"kind": "Group", "apiGroup": _RBAC, "name": name}


def _role(kind: str, name: str, namespace: str, rules: list[Obj]) -> Placed:
    return _placed(kind, name, namespace, {"rules": rules})


def _binding(name: str, role: str, subjects: list[Obj], namespace: str = "") -> Placed:
    kind, role_kind = (
        ("RoleBinding", "Role") if namespace else ("ClusterRoleBinding", "ClusterRole")
    )
    reference = {"apiGroup": _RBAC, "kind": role_kind, "name": role}
    return _placed(kind, name, namespace, {"roleRef": reference, "subjects": subjects})


def _placed(kind: str, name: str, namespace: str, rest: Obj) -> Placed:
    where = f"/namespaces/{namespace}" if namespace else ""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    obj = {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, **rest}
    return f"/apis/{_RBAC}/v1{where}/{kind.lower()}s", obj


_NOBODY: Final[list[Obj]] = [{"kind": "User", "apiGroup": _RBAC, "name": "system:anonymous"}]
_MACHINES: Final = [_group(NODE_GROUP), _group(_NODES)]
