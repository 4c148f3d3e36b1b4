"""The patch that turns one pod status into another without touching what others write.

Upstream: pkg/util/pod/pod.go (PatchPodStatus): a strategic merge patch that carries the uid.
"""

from typing import Any, Final

from tiphys.api.meta import Obj, metadata
from tiphys.kubelet.conditions import OWNED

_REPLACED: Final = ("podIPs", "hostIPs")  # Merged by ip upstream; ours is the whole truth.


def status_patch(pod: Obj, old: Obj, new: Obj) -> Obj | None:
    """The patch from old (what the API has) to new; None where nothing differs."""
    changes: Obj = {}
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if name == "conditions":
            _patch_conditions(before or [], after or [], changes)
        elif _normal(before) != _normal(after):
            if name in _REPLACED and after:
                changes[name] = [{"$patch": "replace"}, *after]
            else:
                changes[name] = after
    if not changes:
        return None
    return {"metadata": {"uid": metadata(pod).get("uid", "")}, "status": changes}


def _patch_conditions(before: list[Obj], after: list[Obj], changes: Obj) -> None:
    old = {c["type"]: c for c in before}
    kept = {c["type"] for c in after}
    patch: list[Obj] = [
        c | _dropped(old.get(c["type"], {}), c)
        for c in after
        if _normal(old.get(c["type"])) != _normal(c)
    ]
    # What others wrote since we looked is not ours to remove.
    gone = [kind for kind in old if kind not in kept and kind in OWNED]
    patch += [{"$patch": "delete", "type": kind} for kind in gone]
    if not patch:
        return
    changes["$setElementOrder/conditions"] = [{"type": c["type"]} for c in after]
    changes["conditions"] = patch


def _dropped(before: Obj, after: Obj) -> Obj:
    return {name: None for name in before if name not in after}


def _normal(value: Any) -> Any:
    """Without nulls and empties: the server may or may not keep them."""
    if isinstance(value, dict):
        found = {k: _normal(v) for k, v in value.items()}
        return {k: v for k, v in found.items() if v not in (None, {}, [], "")} or None
    if isinstance(value, list):
        return [_normal(v) for v in value] or None
    return value
