"""The fields of an object, and those in which two objects differ.

Upstream: structured-merge-diff typed/tofieldset.go, typed/compare.go.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from tiphys.codec.fields.field_set import SELF, FieldSet
from tiphys.codec.fields.shape import LEAF, Shape

ABSENT: Final = object()


class Comparison(NamedTuple):
    added: FieldSet | None = None
    modified: FieldSet | None = None
    removed: FieldSet | None = None

    @property
    def is_same(self) -> bool:
        return self.added is None and self.modified is None and self.removed is None


_SAME: Final = Comparison()
_ADDED: Final = Comparison(added={})
_MODIFIED: Final = Comparison(modified={})
_REMOVED: Final = Comparison(removed={})


def field_set(shape: Shape, value: Any) -> FieldSet | None:
    """All fields that an applied object names. Raises ValueError for items without their keys."""
    if shape.is_leaf(value):
        return {}
    made: FieldSet = {}
    if shape.is_list(value):
        for key, item in items_of(shape, value):
            # An item is a member itself, beside what it has.
            made[key] = _as_member(field_set(shape.element, item))
        return made or None
    for name, inner in (value or {}).items():
        found = field_set(shape.child(name), inner)
        if inner is None or inner == {} or not shape.has_field(name):
            found = _as_member(found)
        if found is not None:
            made[f"f:{name}"] = found
    return made or None


def _as_member(node: FieldSet | None) -> FieldSet:
    if not node or SELF in node:
        return node or {}
    return {SELF: {}, **node}


def items_of(shape: Shape, value: Any) -> Iterable[tuple[str, Any]]:
    """(path element, item) of a list with named items. Raises ValueError, for duplicates too."""
    found: dict[str, Any] = {}
    for item in value or ():
        key = shape.item_key(item)
        if key in found:
            raise ValueError(f"duplicate entries for key [{key.partition(':')[2]}]")
        found[key] = item
    return found.items()


def compare(shape: Shape, old: Any, new: Any) -> Comparison:
    """What the second has more, other, and less. Raises ValueError as `items_of`."""
    if old is new:
        return _SAME
    if _is_leaf(shape, old, new):
        if old is ABSENT:
            return _ADDED
        if new is ABSENT:
            return _REMOVED
        return _SAME if old == new else _MODIFIED
    parts = _list_parts if shape.is_list(new if old is ABSENT else old) else _map_parts
    added: FieldSet = {}
    modified: FieldSet = {}
    removed: FieldSet = {}
    for key, inner, before, after in parts(shape, old, new):
        more, other, less = compare(inner, before, after)
        if more is not None:
            added[key] = more
        if other is not None:
            modified[key] = other
        if less is not None:
            removed[key] = less
    if old is ABSENT:
        return Comparison({SELF: {}, **added} if added else {}, modified or None, removed or None)
    if new is ABSENT:
        return Comparison(added or None, modified or None, {SELF: {}, **removed} if removed else {})
    if not added and not modified and not removed:
        return _SAME
    return Comparison(added or None, modified or None, removed or None)


def fields_of_new(shape: Shape, zero: Any, new: Any) -> FieldSet | None:
    """What `compare` says is added or modified, in one go and in upstream's order.

    `zero`: as Go writes an object of which nothing is set. Raises ValueError as `items_of`.
    """
    if not new or shape is LEAF or shape.is_leaf(new):
        # An empty one in place of one with fields has only less.
        same = zero is not ABSENT and (zero == new or (not new and bool(zero)))
        return None if same else {}
    made: FieldSet = {} if zero is not ABSENT else {SELF: {}}
    if shape.is_list(new):
        items = items_of(shape, new)
        for key, item in sorted(items) if len(new) > 1 else items:
            found = fields_of_new(shape.element, ABSENT, item)
            assert found is not None
            made[key] = found
        return made
    held = zero if zero is not ABSENT and zero else {}
    if zero is ABSENT and (plain := shape.leaves(tuple(new))) is not None:
        return plain
    for name in sorted(new):
        value, child = new[name], shape.child(name)
        before = held.get(name, ABSENT)
        if child is LEAF:  # Most of them: not worth a call.
            if before is ABSENT or before != value:
                made[f"f:{name}"] = {}
            continue
        found = fields_of_new(child, before, value)
        if found is not None:
            made[f"f:{name}"] = found
    if not made or (len(made) == 1 and SELF in made):
        return None if zero is not ABSENT else {}
    return made


def _is_leaf(shape: Shape, old: Any, new: Any) -> bool:
    """Two empty ones are a leaf too: so `{}` and null are told apart."""
    if (old is not ABSENT and old is not None and shape.is_leaf(old)) or (
        new is not ABSENT and new is not None and shape.is_leaf(new)
    ):
        return True
    return (old is ABSENT or not old) and (new is ABSENT or not new)


def _map_parts(shape: Shape, old: Any, new: Any) -> Iterable[tuple[str, Shape, Any, Any]]:
    before = {} if old is ABSENT or old is None else old
    after = {} if new is ABSENT or new is None else new
    for name, value in before.items():
        yield f"f:{name}", shape.child(name), value, after.get(name, ABSENT)
    for name, value in after.items():
        if name not in before:
            yield f"f:{name}", shape.child(name), ABSENT, value


def _list_parts(shape: Shape, old: Any, new: Any) -> Iterable[tuple[str, Shape, Any, Any]]:
    before = dict(items_of(shape, None if old is ABSENT else old))
    after = dict(items_of(shape, None if new is ABSENT else new))
    for key, item in before.items():
        yield key, shape.element, item, after.get(key, ABSENT)
    for key, item in after.items():
        if key not in before:
            yield key, shape.element, ABSENT, item
