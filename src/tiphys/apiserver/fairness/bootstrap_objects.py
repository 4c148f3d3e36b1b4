"""The FlowSchemas and priority levels of every cluster.

`exempt` and `catch-all` are always as here; the others as long as nobody changes them.
Upstream: apiserver pkg/apis/flowcontrol/bootstrap/default.go, pkg/registry/flowcontrol/ensurer.
"""

from collections.abc import Sequence
from typing import Final

from tiphys.api.meta import Obj
from tiphys.apiserver.user import ALL_AUTHENTICATED, ALL_UNAUTHENTICATED, MASTERS

AUTO_UPDATE: Final = "apf.kubernetes.io/autoupdate-spec"
MANDATORY: Final = frozenset({"exempt", "catch-all"})
CATCH_ALL: Final = "catch-all"
NODES: Final = "system:nodes"
CONTROLLERS: Final = "system:kube-controller-manager"
SCHEDULER: Final = "system:kube-scheduler"
SYSTEM: Final = "kube-system"


def priority_levels() -> list[Obj]:
    exempt: Obj = {"nominalConcurrencyShares": 0, "lendablePercent": 0}
    refuse: Obj = {
        "nominalConcurrencyShares": 5,
        "lendablePercent": 0,
        "limitResponse": {"type": "Reject"},
    }
    return [
        _object("exempt", {"type": "Exempt", "exempt": exempt}),
        _object(CATCH_ALL, {"type": "Limited", "limited": refuse}),
        _level("system", 30, 33, queues=64),
        _level("node-high", 40, 25, queues=64),
        _level("leader-election", 10, 0, queues=16, hand=4),
        _level("workload-high", 40, 50),
        _level("workload-low", 100, 90),
        _level("global-default", 20, 50),
    ]


def flow_schemas() -> list[Obj]:
    everybody = _groups(ALL_UNAUTHENTICATED, ALL_AUTHENTICATED)
    leases = _resources(["coordination.k8s.io"], ["leases"], verbs=["get", "create", "update"])
    endpoints = _resources([""], ["endpoints"], verbs=["get", "create", "update"])
    nodes = _resources([""], ["nodes", "nodes/status"], cluster_scope=True)
    node_leases = _resources(["coordination.k8s.io"], ["leases"])
    probes = {"nonResourceURLs": ["/healthz", "/readyz", "/livez"], "verbs": ["get"]}
    electors = [*_users(CONTROLLERS, SCHEDULER), *_accounts("*")]
    endpoint_writers = [
        *_users(CONTROLLERS),
        *_accounts("endpoint-controller", "endpointslicemirroring-controller"),
    ]
    return [
        _schema("exempt", "exempt", 1, "", _everything(_groups(MASTERS))),
        _schema("probes", "exempt", 2, "", {"subjects": everybody, "nonResourceRules": [probes]}),
        _schema(
            "system-leader-election", "leader-election", 100, "ByUser", _only(electors, [leases])
        ),
        _schema(
            "endpoint-controller",
            "workload-high",
            150,
            "ByUser",
            _only(endpoint_writers, [endpoints]),
        ),
        _schema(
            "system-node-high",
            "node-high",
            400,
            "ByUser",
            _only(_groups(NODES), [nodes, node_leases]),
        ),
        _schema("system-nodes", "system", 500, "ByUser", _everything(_groups(NODES))),
        _schema(
            "kube-controller-manager",
            "workload-high",
            800,
            "ByNamespace",
            _everything(_users(CONTROLLERS)),
        ),
        _schema(
            "kube-scheduler", "workload-high", 800, "ByNamespace", _everything(_users(SCHEDULER))
        ),
        _schema(
            "kube-system-service-accounts",
            "workload-high",
            900,
            "ByNamespace",
            _everything(_accounts("*")),
        ),
        _schema(
            "service-accounts",
            "workload-low",
            9000,
            "ByUser",
            _everything(_groups("system:serviceaccounts")),
        ),
        _schema("global-default", "global-default", 9900, "ByUser", _everything(everybody)),
        _schema(CATCH_ALL, CATCH_ALL, 10000, "ByUser", _everything(everybody)),
    ]


def _object(name: str, spec: Obj) -> Obj:
    return {"metadata": {"name": name, "annotations": {AUTO_UPDATE: "true"}}, "spec": spec}


def _level(name: str, shares: int, lendable: int, *, queues: int = 128, hand: int = 6) -> Obj:
    queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": 50}
    limited = {
        "nominalConcurrencyShares": shares,
        "lendablePercent": lendable,
        "limitResponse": {"type": "Queue", "queuing": queuing},
    }
    return _object(name, {"type": "Limited", "limited": limited})


def _schema(name: str, level: str, precedence: int, distinguisher: str, rule: Obj) -> Obj:
    spec: Obj = {
        "matchingPrecedence": precedence,
        "priorityLevelConfiguration": {"name": level},
        "rules": [rule],
    }
    if distinguisher:
        spec["distinguisherMethod"] = {"type": distinguisher}
    return _object(name, spec)


def _everything(subjects: Sequence[Obj]) -> Obj:
    return {
        "subjects": list(subjects),
        "resourceRules": [_resources(["*"], ["*"], cluster_scope=True)],
        "nonResourceRules": [{"nonResourceURLs": ["*"], "verbs": ["*"]}],
    }


def _only(subjects: Sequence[Obj], rules: list[Obj]) -> Obj:
    return {"subjects": list(subjects), "resourceRules": rules}


def _resources(
    groups: list[str],
    resources: list[str],
    *,
    verbs: Sequence[str] = ("*",),
    cluster_scope: bool = False,
) -> Obj:
    rule: Obj = {
        "verbs": list(verbs),
        "apiGroups": groups,
        "resources": resources,
        "namespaces": ["*"],
    }
    if cluster_scope:
        rule["clusterScope"] = True
    return rule


def _groups(*names: str) -> list[Obj]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def _users(*names: str) -> list[Obj]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


def _accounts(*names: str) -> list[Obj]:
    return [
        {"kind": "ServiceAccount", "serviceAccount": {"namespace": SYSTEM, "name": name}}
        for name in names
    ]
