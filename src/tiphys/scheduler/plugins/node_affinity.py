"""NodeAffinity: nodeSelector and node affinity, required and preferred.

Upstream: pkg/scheduler/framework/plugins/nodeaffinity, component-helpers nodeaffinity.
"""

from collections.abc import Collection
from typing import Final

from tiphys.api.labels import node_selector_matches
from tiphys.api.meta import Obj, at
from tiphys.scheduler.framework import (
    NODE_ADD,
    NODE_LABEL,
    POD_UPDATE,
    NodeInfo,
    PodInfo,
    Snapshot,
    Verdict,
    normalized,
    unresolvable,
)

NAME: Final = "NodeAffinity"
RETRY_ON: Final = frozenset({NODE_ADD, NODE_LABEL, POD_UPDATE})
REASON: Final = "node(s) didn't match Pod's node affinity/selector"
CONFLICT: Final = "pod affinity terms conflict"
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def _affinity(pod: PodInfo) -> Obj:
    found: Obj = at(pod.pod, "spec", "affinity", "nodeAffinity", default={})
    return found


def pre_filter(pod: PodInfo, snapshot: Snapshot) -> Collection[str] | Verdict | None:
    """The node names that every term spells out; None when one term does not."""
    terms = at(_affinity(pod), _REQUIRED, "nodeSelectorTerms", default=[])
    names: set[str] = set()
    for term in terms:
        named: set[str] | None = None
        for field in term.get("matchFields") or []:
            if field["key"] == "metadata.name" and field["operator"] == "In":
                values = set(field.get("values") or [])
                named = values if named is None else named & values
        if named is None:
            return None
        names |= named
    if terms and not names:
        return unresolvable(CONFLICT)
    return names if terms else None


def filter_node(pod: PodInfo, node: NodeInfo) -> Verdict | None:
    wanted = at(pod.pod, "spec", "nodeSelector", default={})
    if not wanted.items() <= node.labels.items():
        return unresolvable(REASON)
    required = _affinity(pod).get(_REQUIRED)
    if required is None:
        return None
    terms = required.get("nodeSelectorTerms") or []
    if any(term_matches(term, node) for term in terms):
        return None
    return unresolvable(REASON)


def term_matches(term: Obj, node: NodeInfo) -> bool:
    """All expressions and fields; a term without either matches nothing."""
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    if expressions and not node_selector_matches(expressions, node.labels):
        return False
    return not fields or node_selector_matches(fields, {"metadata.name": node.name})


def score_node(pod: PodInfo, node: NodeInfo, snapshot: Snapshot) -> int:
    """The weights of the preferred terms that match; an empty preference matches all."""
    total = 0
    for preferred in _affinity(pod).get(_PREFERRED) or []:
        term = preferred.get("preference") or {}
        empty = not term.get("matchExpressions") and not term.get("matchFields")
        if not empty and term_matches(term, node):
            total += int(preferred.get("weight") or 0)
    return total


def normalize(scores: dict[str, int]) -> dict[str, int]:
    return normalized(scores)
