"""What of the node a path is, for the review of who may ask for it.

Upstream: pkg/kubelet/server/auth.go (NewNodeAuthorizerAttributesGetter).
"""

from collections.abc import Callable, Sequence
from typing import Final

from tiphys.client.delegated_access import VERBS, Attributes

_SUBRESOURCES: Final = {
    "stats": "stats",
    "metrics": "metrics",
    "logs": "log",
    "checkpoint": "checkpoint",
    "healthz": "healthz",
    "configz": "configz",
    "pods": "pods",
    "runningpods": "pods",
}


def node_attributes(node: str) -> Callable[[str, str], Sequence[Attributes]]:
    def attributes_of(method: str, path: str) -> Sequence[Attributes]:
        return [
            (
                ("verb", VERBS.get(method, "")),
                ("version", "v1"),
                ("resource", "nodes"),
                ("subresource", subresource),
                ("name", node),
            )
            for subresource in subresources(path)
        ]

    return attributes_of


def subresources(path: str) -> tuple[str, ...]:
    """What of the node a path is; any of them suffices, nodes/proxy always does."""
    first = path.strip("/").partition("/")[0]
    own = _SUBRESOURCES.get(first)
    return ("proxy",) if own is None else (own, "proxy")
