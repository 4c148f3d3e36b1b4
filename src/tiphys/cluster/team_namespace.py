"""A place for a team: a namespace with its bounds, and the rights of who works in it. Pure.

What keeps it apart: a Role of the namespace alone, a quota, limits for every container, the Pod
Security Standards, and (isolated) NetworkPolicies that its user may read and not change.
"""

from dataclasses import dataclass
from typing import Final

from tiphys.api import quantity
from tiphys.api.meta import GroupVersionResource, Obj
from tiphys.api.quantity import Quantity

ROLE: Final = "tiphys-team"
PODS: Final = 50
CLAIMS: Final = 10
# What a container without numbers gets, of the namespace's whole.
LIMIT_PART: Final = 4
REQUEST_PART: Final = 20
_ALL: Final = ["*"]
_READ: Final = ["get", "list", "watch"]
_WRITE: Final = [*_READ, "create", "update", "patch", "delete", "deletecollection"]
_RBAC: Final = "rbac.authorization.k8s.io"

NAMESPACES: Final = GroupVersionResource("", "v1", "namespaces")
QUOTAS: Final = GroupVersionResource("", "v1", "resourcequotas")
RANGES: Final = GroupVersionResource("", "v1", "limitranges")
ROLES: Final = GroupVersionResource(_RBAC, "v1", "roles")
BINDINGS: Final = GroupVersionResource(_RBAC, "v1", "rolebindings")
POLICIES: Final = GroupVersionResource("networking.k8s.io", "v1", "networkpolicies")


@dataclass(frozen=True, slots=True)
class Team:
    """cpu and memory: quantities, "" for no bound. level: of the Pod Security Standards.

    dns: the cluster's DNS server. own_ranges: what `internet` does not mean.
    """

    name: str
    user: str
    cpu: str = ""
    memory: str = ""
    level: str = "baseline"
    isolated: bool = False
    internet: bool = False
    dns: str = ""
    own_ranges: tuple[str, ...] = ()


def objects(team: Team) -> list[tuple[GroupVersionResource, Obj]]:
    """In the order of making them: nobody has rights before the bounds are there."""
    found = [
        (NAMESPACES, _namespace(team)),
        (QUOTAS, _quota(team)),
        (QUOTAS, _no_system_priority(team)),
        (RANGES, _range(team)),
    ]
    if team.isolated:
        found += [(POLICIES, policy) for policy in policies(team)]
    return [*found, (ROLES, _role(team)), (BINDINGS, _binding(team))]


def _object(team: Team, version: str, kind: str, name: str, **parts: object) -> Obj:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": team.name},
        **parts,
    }


def _namespace(team: Team) -> Obj:
    prefix = "pod-security.kubernetes.io/"
    labels = {f"{prefix}enforce": team.level, f"{prefix}warn": "restricted"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": team.name, "labels": labels},
    }


def _quota(team: Team) -> Obj:
    hard = {"pods": str(PODS), "persistentvolumeclaims": str(CLAIMS)}
    for name, amount in (("cpu", team.cpu), ("memory", team.memory)):
        if amount:
            hard |= {f"requests.{name}": amount, f"limits.{name}": amount}
    return _object(team, "v1", "ResourceQuota", "team", spec={"hard": hard})


def _no_system_priority(team: Team) -> Obj:
    """A team's pods may not push those of the system aside."""
    values = ["system-cluster-critical", "system-node-critical"]
    wanted = {"scopeName": "PriorityClass", "operator": "In", "values": values}
    spec = {"hard": {"pods": "0"}, "scopeSelector": {"matchExpressions": [wanted]}}
    return _object(team, "v1", "ResourceQuota", "no-system-priority", spec=spec)


def _range(team: Team) -> Obj:
    """With a quota every container must have numbers: those that say none get some."""
    limits, requests = {}, {}
    for name, amount in (("cpu", team.cpu or "2"), ("memory", team.memory or "1Gi")):
        whole = quantity.parse(amount)
        limits[name] = _part(name, whole, LIMIT_PART)
        requests[name] = _part(name, whole, REQUEST_PART)
    bounds = {"type": "Container", "default": limits, "defaultRequest": requests}
    return _object(team, "v1", "LimitRange", "team", spec={"limits": [bounds]})


def _part(name: str, whole: Quantity, part: int) -> str:
    if name == "cpu":
        return f"{max(whole.milli_value // part, 1)}m"
    return f"{max(whole.value // part >> 20, 4)}Mi"


def policies(team: Team) -> list[Obj]:
    """Pods talk to each other and to DNS, and to the internet where that is allowed."""
    anywhere: list[Obj] = [{"podSelector": {}}]
    egress: list[Obj] = [
        {"to": anywhere},
        {
            "to": [{"ipBlock": {"cidr": f"{team.dns}/32"}}],
            "ports": [{"protocol": p, "port": 53} for p in ("UDP", "TCP")],
        },
    ]
    if team.internet:
        outside = {"cidr": "0.0.0.0/0", "except": sorted(team.own_ranges)}
        egress.append({"to": [{"ipBlock": outside}]})
    spec = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": anywhere}],
        "egress": egress,
    }
    return [_object(team, "networking.k8s.io/v1", "NetworkPolicy", "isolated", spec=spec)]


def _role(team: Team) -> Obj:
    """Upstream's `admin`, less what undoes the bounds and less acting as somebody else."""
    rules = [
        _rule([""], ["namespaces"], ["get"]),
        _rule(
            [""],
            [
                "bindings",
                "endpoints",
                "events",
                "limitranges",
                "persistentvolumeclaims/status",
                "pods/log",
                "pods/status",
                "replicationcontrollers/status",
                "resourcequotas",
                "resourcequotas/status",
            ],
            _READ,
        ),
        _rule(
            [""],
            [
                "configmaps",
                "persistentvolumeclaims",
                "pods",
                "podtemplates",
                "replicationcontrollers",
                "replicationcontrollers/scale",
                "secrets",
                "serviceaccounts",
                "services",
            ],
            _WRITE,
        ),
        _rule([""], ["pods/attach", "pods/exec", "pods/portforward"], ["create", "get"]),
        _rule([""], ["pods/ephemeralcontainers", "pods/resize"], ["get", "patch", "update"]),
        _rule([""], ["pods/eviction", "serviceaccounts/token"], ["create"]),
        _rule(
            ["apps"],
            [
                "controllerrevisions",
                "daemonsets",
                "deployments",
                "deployments/scale",
                "replicasets",
                "replicasets/scale",
                "statefulsets",
                "statefulsets/scale",
            ],
            _WRITE,
        ),
        _rule(["autoscaling"], ["horizontalpodautoscalers"], _WRITE),
        _rule(["batch"], ["cronjobs", "jobs"], _WRITE),
        _rule(["coordination.k8s.io"], ["leases"], _WRITE),
        _rule(["discovery.k8s.io"], ["endpointslices"], _READ),
        _rule(["events.k8s.io"], ["events"], _READ),
        _rule(["metrics.k8s.io"], ["pods"], _READ),
        _rule(["networking.k8s.io"], ["ingresses"], _WRITE),
        # Also where it is not isolated: who may write policies may undo those of others.
        _rule(["networking.k8s.io"], ["networkpolicies"], _READ if team.isolated else _WRITE),
        _rule(["policy"], ["poddisruptionbudgets"], _WRITE),
        _rule([_RBAC], ["rolebindings", "roles"], _WRITE),
        _rule(["authorization.k8s.io"], ["localsubjectaccessreviews"], ["create"]),
    ]
    return _object(team, f"{_RBAC}/v1", "Role", ROLE, rules=rules)


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> Obj:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


def _binding(team: Team) -> Obj:
    return _object(
        team,
        f"{_RBAC}/v1",
        "RoleBinding",
        ROLE,
        roleRef={"apiGroup": _RBAC, "kind": "Role", "name": ROLE},
        subjects=[{"apiGroup": _RBAC, "kind": "User", "name": team.user}],
    )
