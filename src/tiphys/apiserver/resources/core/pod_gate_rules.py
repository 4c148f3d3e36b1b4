"""Where a pod may go can be narrowed as long as its gates keep it from being scheduled.

Upstream: pkg/apis/core/validation (ValidatePodUpdate, validateNodeSelectorMutation,
validateNodeAffinityMutation), KEP-3838.
"""

from typing import Any, Final

from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj, at

_NEEDED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def validate(spec: Obj, before: Obj) -> list[FieldError]:
    """Of a gated pod's spec: node selector and node affinity only get more requirements."""
    return _node_selector(spec, before) + _node_affinity(spec, before)


def fixed(spec: Obj, before: Obj) -> Obj:
    """The spec with those parts as they were."""
    found = _with(spec, "nodeSelector", before.get("nodeSelector"))
    old = at(before, "affinity", "nodeAffinity")
    if at(spec, "affinity", "nodeAffinity") == old:
        return found
    if "affinity" not in spec:
        return found | {"affinity": {"nodeAffinity": old}}
    if "affinity" not in before and not {"podAffinity", "podAntiAffinity"} & set(spec["affinity"]):
        return _with(found, "affinity", None)
    return found | {"affinity": _with(spec["affinity"], "nodeAffinity", old)}


def _with(obj: Obj, field: str, value: Any) -> Obj:
    rest = {k: v for k, v in obj.items() if k != field}
    return rest if value is None else rest | {field: value}


def _node_selector(spec: Obj, before: Obj) -> list[FieldError]:
    now, then = spec.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if all(now.get(key) == value for key, value in then.items()):
        return []
    text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
    return [invalid("spec.nodeSelector", spec.get("nodeSelector"), text)]


def _node_affinity(spec: Obj, before: Obj) -> list[FieldError]:
    old = at(before, "affinity", "nodeAffinity", _NEEDED)
    if at(spec, "affinity", "nodeAffinity") == at(before, "affinity", "nodeAffinity") or not old:
        return []
    path = f"spec.affinity.nodeAffinity.{_NEEDED}.nodeSelectorTerms"
    terms = at(spec, "affinity", "nodeAffinity", _NEEDED, "nodeSelectorTerms")
    then = old.get("nodeSelectorTerms") or []
    if then and len(terms or ()) != len(then):
        text = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        shown = None if terms is None else [_shown(t) for t in terms]
        return [invalid(path, shown, text)]
    text = "only additions are allowed (no mutations or deletions)"
    return [
        invalid(f"{path}[{index}]", _shown(term), text)
        for index, (term, old_term) in enumerate(zip(terms or (), then, strict=True))
        if not _only_adds(term, old_term)
    ]


def _shown(term: Obj) -> Obj:
    return go_form(term, "core.v1.NodeSelectorTerm")


def _only_adds(term: Obj, old: Obj) -> bool:
    """An empty term selects nothing, and stays so."""
    fields = ("matchExpressions", "matchFields")
    if not any(old.get(f) for f in fields):
        return not any(term.get(f) for f in fields)
    return all((term.get(f) or [])[: len(old.get(f) or ())] == (old.get(f) or []) for f in fields)
