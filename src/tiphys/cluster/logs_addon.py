"""Rights of the cluster's log: its agent reads events. It has the metrics server's name, whose
process it shares, and so reads pods already."""

from typing import Final

from tiphys.api.meta import Obj

_RBAC: Final = "rbac.authorization.k8s.io"
AGENT: Final = "tiphys:log-agent"
_USER: Final = "system:serviceaccount:kube-system:metrics-server"


def manifests() -> list[tuple[str, Obj]]:
    """(collection path, object) in the order of making them."""
    rule = {"apiGroups": [""], "resources": ["events"], "verbs": ["get", "list", "watch"]}
    return [
        _placed("ClusterRole", AGENT, {"rules": [rule]}),
        _placed(
            "ClusterRoleBinding",
            AGENT,
            {
                "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": AGENT},
                "subjects": [{"kind": "User", "name": _USER, "apiGroup": _RBAC}],
            },
        ),
    ]


def _placed(kind: str, name: str, rest: Obj) -> tuple[str, Obj]:
    obj = {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": {"name": name}, **rest}
    return f"/apis/{_RBAC}/v1/{kind.lower()}s", obj
