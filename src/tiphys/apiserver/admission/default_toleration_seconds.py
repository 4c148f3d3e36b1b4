"""DefaultTolerationSeconds: pods stay five minutes on a node that is gone or not ready.

Upstream: plugin/pkg/admission/defaulttolerationseconds/admission.go.
"""

from typing import Final

from tiphys.api.meta import Obj
from tiphys.apiserver.admission.chain import Resources, Write

SECONDS: Final = 300
TAINTS: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerationSeconds:
    name = "DefaultTolerationSeconds"
    resources: Resources = frozenset({("", "pods")})

    def mutate(self, write: Write) -> None:
        pod = write.obj
        if pod is None or write.operation == "DELETE" or not write.is_("", "pods"):
            return
        spec = pod.setdefault("spec", {})
        present = spec.get("tolerations") or []
        added = [_toleration(t) for t in TAINTS if not any(_covers(p, t) for p in present)]
        if added:
            spec["tolerations"] = [*present, *added]


def _covers(toleration: Obj, taint: str) -> bool:
    if toleration.get("effect", "") not in {"", "NoExecute"}:
        return False
    return toleration.get("key", "") in {"", taint}


def _toleration(taint: str) -> Obj:
    return {
        "key": taint,
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": SECONDS,
    }
