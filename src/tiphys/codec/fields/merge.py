"""Laying an applied object over the one that is there, and taking fields out of an object.

Upstream: structured-merge-diff typed/merge.go, typed/remove.go.
"""

from collections import Counter
from typing import Any

from tiphys.codec.fields.compare import ABSENT, items_of, keyed
from tiphys.codec.fields.field_set import SELF, FieldSet, is_member
from tiphys.codec.fields.shape import Shape


def merge(shape: Shape, live: Any, applied: Any) -> Any:
    """What is applied wins; what it does not name stays. Raises ValueError as `items_of`."""
    if applied is ABSENT:
        return live
    if applied is None:  # Names nothing of what is within.
        return live if live and live is not ABSENT and not shape.is_leaf(live) else None
    if live is ABSENT or live is None or shape.is_leaf(applied):
        return applied
    if shape.is_list(applied):
        return _merged_list(shape, live, applied)
    if not isinstance(live, dict) or not isinstance(applied, dict):
        return applied
    made = dict(live)
    for name, value in applied.items():
        made[name] = merge(shape.child(name), live.get(name, ABSENT), value)
    return made


def _merged_list(shape: Shape, live: list[Any], applied: list[Any]) -> list[Any]:
    """Items in the order in which they are applied; others stay where they stood among them."""
    old, after = list(keyed(shape, live)), items_of(shape, applied)
    before, new = dict(old), list(after)
    for key in (key for key, count in Counter(key for key, _ in old).items() if count > 1):
        before[key] = None  # There is no telling which of them to merge with.
    shared = iter([key for key in new if key in before])
    following, merged, made = next(shared, None), set[str](), list[Any]()
    at_old = at_new = 0
    while at_old < len(old) or at_new < len(new):
        key, item = old[at_old] if at_old < len(old) else ("", None)
        turn = new[at_new] if at_new < len(new) else ""
        if key and turn and key in after and key != turn and following not in (None, key):
            at_old += 1  # Its turn comes elsewhere or has been.
            continue
        if key and key not in after:
            made.append(item)
            at_old += 1
            continue
        if key and (key == turn or key in merged):
            at_old += 1
        if turn:
            merged.add(turn)
            made.append(merge(shape.element, before.get(turn, ABSENT), after[turn]))
            at_new += 1
            if turn == following:
                following = next(shared, None)
    return made


def remove(shape: Shape, value: Any, fields: FieldSet | None) -> Any:
    """The value without those fields; of a list or map of which nothing is left an empty one."""
    if fields is None or shape.is_leaf(value) or not value:
        return value
    if shape.is_list(value):
        return _without_items(shape, value, fields)
    made = {}
    for name, inner in value.items():
        node = fields.get(f"f:{name}")
        if node is None or not is_member(node):
            made[name] = remove(shape.child(name), inner, node)
    return made


def _without_items(shape: Shape, value: list[Any], fields: FieldSet) -> list[Any]:
    made = []
    for key, item in keyed(shape, value):
        node = fields.get(key)
        if node is None or not is_member(node):
            made.append(remove(shape.element, item, node))
    return made


def with_named_fields(shape: Shape, node: FieldSet) -> FieldSet:
    """The set with every struct field that leads to a member as a member too.

    Upstream: fieldpath Set.EnsureNamedFieldsAreMembers.
    """
    made: FieldSet = {}
    for key, inner in node.items():
        if key == SELF:
            made[key] = inner
            continue
        name = key[2:] if key.startswith("f:") else ""
        child = shape.child(name) if name else shape.element
        found = with_named_fields(child, inner)
        if name and shape.has_field(name) and found and SELF not in found:
            found = {SELF: {}, **found}
        made[key] = found
    return made


def with_wholes(shape: Shape, node: FieldSet) -> FieldSet:
    """The set after a change of the schema: what is a whole now is owned as one.

    Upstream: typed/reconcile_schema.go.
    """
    if not node or shape.always_leaf:
        return {}
    made: FieldSet = {}
    for key, inner in node.items():
        child = shape.child(key[2:]) if key.startswith("f:") else shape.element
        made[key] = inner if key == SELF else with_wholes(child, inner)
    return made
