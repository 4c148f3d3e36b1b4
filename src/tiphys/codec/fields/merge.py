"""Laying an applied object over the one that is there, and taking fields out of an object.

Upstream: structured-merge-diff typed/merge.go, typed/remove.go.
"""

from typing import Any

from tiphys.codec.fields.compare import ABSENT, items_of
from tiphys.codec.fields.field_set import SELF, FieldSet, is_member
from tiphys.codec.fields.shape import Shape


def merge(shape: Shape, live: Any, applied: Any) -> Any:
    """What is applied wins; what it does not name stays. Raises ValueError as `items_of`."""
    if applied is ABSENT:
        return live
    if live is ABSENT or live is None or applied is None or shape.is_leaf(applied):
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
    before, after = dict(items_of(shape, live)), dict(items_of(shape, applied))
    shared = [key for key in after if key in before]
    made: list[Any] = []
    old, new = list(before), list(after)
    at_old = at_new = at_shared = 0
    while at_old < len(old) or at_new < len(new):
        following = shared[at_shared] if at_shared < len(shared) else None
        if at_old < len(old):
            key = old[at_old]
            if key not in after:
                made.append(before[key])
                at_old += 1
                continue
            if key != following:  # Shared, and its turn comes elsewhere or has been.
                at_old += 1
                continue
        if at_new < len(new):
            key = new[at_new]
            made.append(merge(shape.element, before.get(key, ABSENT), after[key]))
            at_new += 1
            if key == following:
                at_shared += 1
                if at_old < len(old) and old[at_old] == key:
                    at_old += 1
    return made


def remove(shape: Shape, value: Any, fields: FieldSet | None) -> Any:
    """The value without those fields; ABSENT where nothing is left of a list or map."""
    if fields is None or shape.is_leaf(value) or not value:
        return value
    if shape.is_list(value):
        return _without_items(shape, value, fields)
    made = {}
    for name, inner in value.items():
        node = fields.get(f"f:{name}")
        if node is not None and is_member(node):
            continue
        left = remove(shape.child(name), inner, node)
        if left is not ABSENT:
            made[name] = left
    return made if made else ABSENT


def _without_items(shape: Shape, value: list[Any], fields: FieldSet) -> Any:
    made = []
    for key, item in items_of(shape, value):
        node = fields.get(key)
        if node is not None and is_member(node):
            continue
        left = remove(shape.element, item, node)
        if left is not ABSENT:
            made.append(left)
    return made if made else ABSENT


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
