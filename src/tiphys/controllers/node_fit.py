"""Whether a pod may run on a node, as far as name, labels and taints say. Pure.

The scheduler knows more; a DaemonSet asks only this. Upstream: daemon_controller.go predicates,
component-helpers/scheduling/corev1.
"""

from collections.abc import Sequence
from typing import Final

from tiphys.api.meta import Obj, at, labels_of
from tiphys.api.node_selector import matches_selector

REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def matches_affinity(spec: Obj, node: Obj) -> bool:
    """spec.nodeSelector and the required node affinity of a pod's spec."""
    if not (spec.get("nodeSelector") or {}).items() <= labels_of(node).items():
        return False
    required = at(spec, "affinity", "nodeAffinity", REQUIRED)
    return required is None or matches_selector(required, node)


def untolerated(taints: Sequence[Obj], tolerations: Sequence[Obj], effects: set[str]) -> bool:
    """Whether one of the taints with these effects is tolerated by none."""
    return any(
        not any(tolerates(toleration, taint) for toleration in tolerations)
        for taint in taints
        if taint.get("effect") in effects
    )


def tolerates(toleration: Obj, taint: Obj) -> bool:
    """An empty effect or key matches all. Source: core/v1 toleration.go ToleratesTaint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")
