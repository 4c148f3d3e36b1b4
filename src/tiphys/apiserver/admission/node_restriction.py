"""NodeRestriction: a kubelet writes its own Node, Lease and CSINode, and only pods bound to it.

Upstream: plugin/pkg/admission/noderestriction/admission.go.
"""

import base64
from typing import Final

from tiphys.api.errors import not_found
from tiphys.api.meta import Obj, at, metadata, name_of
from tiphys.apiserver.admission.chain import ALL, Resources, Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.apiserver.filters.node_authorization import (
    LEASE_NAMESPACE,
    NODE_USER_PREFIX,
    NODES_GROUP,
    node_of,
)
from tiphys.lib import certificate_request
from tiphys.storage.watch_cache import WatchCache

MIRROR: Final = "kubernetes.io/config.mirror"
# Labels of the kubernetes.io family that a kubelet may give its own node.
# Source: k8s.io/kubelet/pkg/apis/well_known_labels.go.
_KUBELET_LABELS: Final = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
    }
)
_KUBELET_LABEL_NAMESPACES: Final = ("kubelet.kubernetes.io", "node.kubernetes.io")
_RESTRICTED_NAMESPACES: Final = ("kubernetes.io", "k8s.io")
_KUBELET_SIGNERS: Final = (
    "kubernetes.io/kubelet-serving",
    "kubernetes.io/kube-apiserver-client-kubelet",
)
_ISOLATION_NAMESPACE: Final = "node-restriction.kubernetes.io"


class NodeRestriction:
    name = "NodeRestriction"
    resources: Resources = ALL

    def __init__(self, pods: WatchCache) -> None:
        self._pods = pods

    def validate(self, write: Write) -> None:
        """Raises Forbidden, NotFound."""
        if NODES_GROUP not in write.user.groups:
            return
        node = node_of(write.user)
        if not node:
            text = f'could not determine node from user "{write.user.name}"'
            raise refuse(write, text)
        why = self._why(write, node)
        if why:
            raise refuse(write, why)

    def _why(self, write: Write, node: str) -> str:
        info = write.info
        match (info.group, info.resource, info.subresource):
            case ("", "pods", ""):
                return _pod(write, node)
            case ("", "pods", "status"):
                return _pod_status(write, node)
            case ("", "pods", "eviction"):
                return self._eviction(write, node)
            case ("", "pods", _):
                return (
                    f"unexpected pod subresource \"{info.subresource}\", only 'status' and "
                    "'eviction' are allowed"
                )
            case ("", "nodes", _):
                return _node(write, node)
            case ("", "serviceaccounts", "token"):
                return self._token(write, node)
            case ("certificates.k8s.io", "certificatesigningrequests", ""):
                return _certificate_request(write, node)
            case ("coordination.k8s.io", "leases", _):
                return _lease(write, node)
            case ("storage.k8s.io", "csinodes", _):
                return _same_name(write, node, "CSINode")
        return ""

    def _stored_pod(self, namespace: str, name: str) -> Obj | None:
        cached = self._pods.get(f"{self._pods.prefix}{namespace}/{name}")
        return None if cached is None else cached.decode(self._pods.head)

    def _eviction(self, write: Write, node: str) -> str:
        pod = self._stored_pod(write.info.namespace, write.info.name)
        if pod is None:
            raise not_found("", "pod", write.info.name)  # In the words of upstream's lister.
        if at(pod, "spec", "nodeName") != node:
            return f'node "{node}" can only evict pods with spec.nodeName set to itself'
        return ""

    def _token(self, write: Write, node: str) -> str:
        bound = at(write.obj, "spec", "boundObjectRef") or {}
        if (bound.get("apiVersion"), bound.get("kind")) != ("v1", "Pod") or not bound.get("name"):
            return "node requested token not bound to a pod"
        if not bound.get("uid"):
            return "node requested token with a pod binding without a uid"
        pod = self._stored_pod(write.info.namespace, bound["name"])
        if pod is None:
            return f'pod "{bound["name"]}" not found'
        if metadata(pod).get("uid") != bound["uid"]:
            return "the UID in the bound object reference does not match the UID in record"
        if at(pod, "spec", "nodeName") != node:
            return "node requested token bound to a pod scheduled on a different node"
        if at(pod, "spec", "serviceAccountName") != write.info.name:
            return "node requested token bound to a pod with a different service account"
        return ""


def _pod(write: Write, node: str) -> str:
    if write.operation == "CREATE":
        return _mirror_pod(write.obj or {}, node)
    if write.operation == "DELETE":
        if at(write.old, "spec", "nodeName") != node:
            return f'node "{node}" can only delete pods with spec.nodeName set to itself'
        return ""
    return (
        f'unexpected operation "{write.operation}", node "{node}" can only create and delete '
        "mirror pods"
    )


def _mirror_pod(pod: Obj, node: str) -> str:
    if MIRROR not in (metadata(pod).get("annotations") or {}):
        return f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
    if at(pod, "spec", "nodeName") != node:
        return f'node "{node}" can only create pods with spec.nodeName set to itself'
    owners = metadata(pod).get("ownerReferences") or []
    if len(owners) > 1 or any((o.get("kind"), o.get("name")) != ("Node", node) for o in owners):
        return f'node "{node}" can only create pods with a single owner reference set to itself'
    if at(pod, "spec", "serviceAccountName"):
        return f'node "{node}" can not create pods that reference a service account'
    for volume in at(pod, "spec", "volumes", default=[]):
        for kind in ("secret", "configMap", "persistentVolumeClaim", "projected"):
            if kind in volume:
                return f'node "{node}" can not create pods that reference {kind}s'
    return ""


def _pod_status(write: Write, node: str) -> str:
    if write.operation != "UPDATE":
        return f'unexpected operation "{write.operation}"'
    if at(write.old, "spec", "nodeName") != node:
        return f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
    if _meta(write.obj).get("labels") != _meta(write.old).get("labels"):
        return f'node "{node}" cannot update labels through pod status'
    return ""


def _node(write: Write, node: str) -> str:
    asked = write.info.name or name_of(write.obj or write.old or {})
    if asked != node:
        return f'node "{node}" is not allowed to modify node "{asked}"'
    if write.operation == "CREATE":
        forbidden = _restricted(_changed_labels(write.obj, None))
        if forbidden:
            return f'node "{node}" is not allowed to set the following labels: {forbidden}'
        return ""
    if write.operation != "UPDATE":
        return f'node "{node}" is not allowed to delete nodes'
    if at(write.obj, "spec", "configSource") != at(write.old, "spec", "configSource"):
        return f'node "{node}" is not allowed to update configSource to a new non-nil value'
    if not _same_taints(write.obj, write.old):
        return f'node "{node}" is not allowed to modify taints'
    forbidden = _restricted(_changed_labels(write.obj, write.old))
    if forbidden:
        return f"is not allowed to modify labels: {forbidden}"
    if _meta(write.obj).get("ownerReferences") != _meta(write.old).get("ownerReferences"):
        return f'node "{node}" is not allowed to modify ownerReferences'
    return ""


def _same_taints(new: Obj | None, old: Obj | None) -> bool:
    return (at(new, "spec", "taints") or []) == (at(old, "spec", "taints") or [])


def _changed_labels(new: Obj | None, old: Obj | None) -> set[str]:
    now, before = _meta(new).get("labels") or {}, _meta(old).get("labels") or {}
    return {k for k in now.keys() | before.keys() if now.get(k) != before.get(k)}


def _restricted(labels: set[str]) -> str:
    """Those that only an administrator may set, sorted, as one text."""
    return ", ".join(sorted(label for label in labels if _is_restricted(label)))


def _is_restricted(label: str) -> bool:
    namespace = label.partition("/")[0] if "/" in label else ""
    if _within(namespace, _ISOLATION_NAMESPACE):
        return True
    if not any(_within(namespace, one) for one in _RESTRICTED_NAMESPACES):
        return False
    if label in _KUBELET_LABELS:
        return False
    return not any(_within(namespace, one) for one in _KUBELET_LABEL_NAMESPACES)


def _within(namespace: str, parent: str) -> bool:
    return namespace == parent or namespace.endswith(f".{parent}")


def _meta(obj: Obj | None) -> Obj:
    return {} if obj is None else metadata(obj)


def _certificate_request(write: Write, node: str) -> str:
    """A kubelet asks for its own certificates only; what else they hold is for the signer."""
    if write.operation != "CREATE" or at(write.obj, "spec", "signerName") not in _KUBELET_SIGNERS:
        return ""
    pem = base64.b64decode(at(write.obj, "spec", "request", default=""))
    try:
        name, _ = certificate_request.subject_of(certificate_request.parse(pem))
    except ValueError as exc:
        return f"unable to parse csr: {exc}"
    if name != f"{NODE_USER_PREFIX}{node}":
        return f"can only create a node CSR with CN={NODE_USER_PREFIX}{node}"
    return ""


def _lease(write: Write, node: str) -> str:
    if write.info.namespace != LEASE_NAMESPACE:
        return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
    return _same_name(write, node, "node lease")


def _same_name(write: Write, node: str, what: str) -> str:
    shown = name_of(write.obj or write.old or {}) or write.info.name
    if shown != node:
        return f"can only access {what} with the same name as the requesting node"
    return ""
