"""The Node authorizer: a kubelet may read what its own pods need, and write what is its own.

What the graph does not limit follows the rules of ClusterRole system:node, which nobody is bound
to. Upstream: plugin/pkg/auth/authorizer/node/node_authorizer.go.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tiphys.api.meta import Obj, at
from tiphys.apiserver.filters.authorization import (
    EVERYTHING,
    Attributes,
    Decision,
    Grant,
    RbacAuthorizer,
    Rule,
    compile_rules,
)
from tiphys.apiserver.filters.node_graph import Need, NodeGraph
from tiphys.apiserver.user import ALL_UNAUTHENTICATED, User
from tiphys.storage.watch_cache import WatchCache

if TYPE_CHECKING:
    from tiphys.apiserver.filters.webhook_authorization import WebhookAuthorizer

NODES_GROUP: Final = "system:nodes"
NODE_USER_PREFIX: Final = "system:node:"
LEASE_NAMESPACE: Final = "kube-node-lease"
_READS: Final = frozenset({"get", "list", "watch"})
_OWN: Final = frozenset({"get", "create", "update", "patch", "delete"})
_ALLOWED: Final = Decision(True)


def node_of(user: User) -> str:
    """The node that a user is, or "". Upstream: pkg/auth/nodeidentifier."""
    if NODES_GROUP not in user.groups or not user.name.startswith(NODE_USER_PREFIX):
        return ""
    return user.name.removeprefix(NODE_USER_PREFIX)


class NodeAuthorizer:
    """Says yes, or no with the reason. rules: those of system:node."""

    def __init__(self, graph: NodeGraph, volumes: WatchCache, rules: list[Obj]) -> None:
        self._graph = graph
        self._volumes = volumes
        self._rules: tuple[Rule, ...] = compile_rules(rules)

    def decide(self, node: str, asked: Attributes) -> Decision:
        check = _CHECKS.get((asked.group, asked.resource))
        why = check(self, node, asked) if check is not None else ""
        if why:
            return Decision(False, why)
        if any(rule.allows(asked) for rule in self._rules):
            return _ALLOWED
        return Decision(False)

    def _needed(self, node: str, asked: Attributes) -> str:
        """Secrets and ConfigMaps: read one by one (a list or watch of one name counts)."""
        if asked.verb not in _READS:
            return "can only read resources of this type"
        if asked.subresource:
            return "cannot read subresource"
        if not asked.namespace:
            return "can only read namespaced object of this type"
        return self._related(node, asked)

    def _gotten(self, node: str, asked: Attributes) -> str:
        """Claims and their volumes."""
        if asked.subresource == "status":
            return "" if asked.resource == "persistentvolumeclaims" else "cannot get subresource"
        if asked.verb != "get":
            return "can only get individual resources of this type"
        if asked.subresource:
            return "cannot get subresource"
        return self._related(node, asked)

    def _volume(self, node: str, asked: Attributes) -> str:
        if asked.verb != "get" or asked.subresource:
            return "can only get individual resources of this type"
        cached = self._volumes.get(self._volumes.prefix + asked.name)
        claim = at(cached.decode(self._volumes.head), "spec", "claimRef") if cached else None
        if claim is not None:
            name, namespace = claim.get("name", ""), claim.get("namespace", "")
            if self._graph.needs(node, Need("persistentvolumeclaims", namespace, name)):
                return ""
        return _no_relation(node)

    def _account(self, node: str, asked: Attributes) -> str:
        if asked.verb == "get" and not asked.subresource:
            return self._related(node, asked)
        if asked.verb != "create" or not asked.name:
            return "can only create tokens for individual service accounts"
        if asked.subresource != "token":
            return "can only create token subresource of service account"
        return self._related(node, asked)

    def _pod(self, node: str, asked: Attributes) -> str:
        if asked.subresource or asked.verb not in _READS:
            return ""  # Writes are for the admission plugin NodeRestriction, which sees the pod.
        if asked.verb == "get":
            return self._related(node, asked)
        if asked.node != node:
            return "can only list/watch pods with spec.nodeName field selector"
        return ""

    def _node(self, node: str, asked: Attributes) -> str:
        if asked.verb not in _READS or asked.name == node:
            return ""
        if asked.name:
            return f"node '{node}' cannot read '{asked.name}', only its own Node object"
        return f"node '{node}' cannot read all nodes, only its own Node object"

    def _lease(self, node: str, asked: Attributes) -> str:
        if asked.verb not in _OWN:
            return "can only get, create, update, patch, or delete a node lease"
        if asked.namespace != LEASE_NAMESPACE:
            return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
        if asked.verb != "create" and asked.name != node:
            return "can only access node lease with the same name as the requesting node"
        return ""

    def _csi_node(self, node: str, asked: Attributes) -> str:
        if asked.subresource:
            return "cannot authorize CSINode subresources"
        if asked.verb not in _OWN:
            return "can only get, create, update, patch, or delete a CSINode"
        if asked.verb != "create" and asked.name != node:
            return "can only access CSINode with the same name as the requesting node"
        return ""

    def _related(self, node: str, asked: Attributes) -> str:
        if not asked.name:
            return "No Object name found"
        if self._graph.needs(node, Need(asked.resource, asked.namespace, asked.name)):
            return ""
        return _no_relation(node)


def _no_relation(node: str) -> str:
    return f"no relationship found between node '{node}' and this object"


_Check = Callable[[NodeAuthorizer, str, Attributes], str]
"""Why not; empty leaves it to the rules."""
_CHECKS: Final[dict[tuple[str, str], _Check]] = {
    ("", "secrets"): NodeAuthorizer._needed,
    ("", "configmaps"): NodeAuthorizer._needed,
    ("", "persistentvolumeclaims"): NodeAuthorizer._gotten,
    ("", "persistentvolumes"): NodeAuthorizer._volume,
    ("", "serviceaccounts"): NodeAuthorizer._account,
    ("", "pods"): NodeAuthorizer._pod,
    ("", "nodes"): NodeAuthorizer._node,
    ("coordination.k8s.io", "leases"): NodeAuthorizer._lease,
    ("storage.k8s.io", "csinodes"): NodeAuthorizer._csi_node,
}


class Authorizer(RbacAuthorizer):
    """Node, RBAC, and the webhook where there is one: the first that allows decides."""

    allows_all: bool = False  # AlwaysAllow: whoever says who they are.
    nodes: NodeAuthorizer | None = None
    webhook: "WebhookAuthorizer | None" = None

    def decide(self, user: User, asked: Attributes) -> Decision:
        """Raises Unasked where there is a webhook."""
        if self.allows_all and ALL_UNAUTHENTICATED not in user.groups:
            return _ALLOWED
        found = self._decide_here(user, asked)
        if found.allowed or self.webhook is None:
            return found
        said = self.webhook.decide(user, asked)
        if said.allowed or said.denied:
            return said
        return said._replace(reason="\n".join(r for r in (found.reason, said.reason) if r))

    def grants_of(self, user: User) -> list[Grant]:
        if self.allows_all and ALL_UNAUTHENTICATED not in user.groups:
            return [Grant("", compile_rules(EVERYTHING), missing="")]
        return super().grants_of(user)

    def _decide_here(self, user: User, asked: Attributes) -> Decision:
        is_node = NODES_GROUP in user.groups and user.name.startswith(NODE_USER_PREFIX)
        if not is_node or self.nodes is None:  # The group alone makes no node.
            return super().decide(user, asked)
        node = node_of(user)
        why = f'unknown node for user "{user.name}"'
        if node:
            decision = self.nodes.decide(node, asked)
            if decision.allowed:
                return decision
            why = decision.reason
        granted = super().decide(user, asked)
        if granted.allowed:
            return granted
        reasons = [r for r in (why, granted.reason) if r]
        return Decision(False, ", ".join(reasons))
