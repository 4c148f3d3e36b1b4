"""The fields of an object, and those in which two objects differ.

Upstream: structured-merge-diff typed/tofieldset.go, typed/compare.go.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from tiphys.codec.fields.field_set import SELF, FieldSet
from tiphys.codec.fields.shape import Shape

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


class Repeated(list[Any]):
    """The items of a list that have one key, when they are several: owned as one.

    The schema does not forbid them, and an old object may have them: such as variables.
    """


def field_set(shape: Shape, value: Any) -> FieldSet | None:
    """All fields that an applied object names. Raises ValueError for items without their keys."""
    if shape.is_leaf(value):
        return {}
    made: FieldSet = {}
    if shape.is_list(value):
        for key, item in items_of(shape, value).items():
            # An item is a member itself, beside what it has.
            made[key] = {} if isinstance(item, Repeated) else _item_set(shape.element, item)
        return made or None
    for name, inner in (value or {}).items():
        found = field_set(shape.child(name), inner)
        if inner is None or inner == {} or not shape.has_field(name):
            found = _as_member(found)
        if found is not None:
            made[f"f:{name}"] = found
    return made or None


def _item_set(shape: Shape, item: Any) -> FieldSet:
    return _as_member(field_set(shape, item))


def _as_member(node: FieldSet | None) -> FieldSet:
    if not node or SELF in node:
        return node or {}
    return {SELF: {}, **node}


def items_of(shape: Shape, value: Any) -> dict[str, Any]:
    """The items of a list with named items, by their path elements. Raises ValueError."""
    if not value:
        return {}
    key_of = shape.item_key
    found = {key_of(item): item for item in value}
    return found if len(found) == len(value) else _with_repeated(shape, value)


def _with_repeated(shape: Shape, value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in keyed(shape, value):
        held = found.get(key)
        if isinstance(held, Repeated):
            held.append(item)
        else:
            found[key] = Repeated([held, item]) if key in found else item
    return found


def keyed(shape: Shape, value: Any) -> Iterable[tuple[str, Any]]:
    """Each item with its path element. Raises ValueError."""
    return ((shape.item_key(item), item) for item in value or ())


def compare(shape: Shape, old: Any, new: Any) -> Comparison:
    """What the second has more, other, and less. Raises ValueError as `items_of`."""
    if old is new:
        return _SAME
    if _is_leaf(shape, old, new):
        if old is ABSENT:
            return _ADDED
        if new is ABSENT:
            return _REMOVED
        return _SAME if old == new else _of_another_form(shape, old, new)
    is_list = shape.is_list(new if old is ABSENT else old)
    parts, step = (_list_parts, _compare_items) if is_list else (_map_parts, compare)
    added: FieldSet = {}
    modified: FieldSet = {}
    removed: FieldSet = {}
    for key, inner, before, after in parts(shape, old, new):
        more, other, less = step(inner, before, after)
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


def _of_another_form(shape: Shape, old: Any, new: Any) -> Comparison:
    """What a map had within is gone, what it has now is new."""
    added = removed = None
    if old and isinstance(old, dict) and not shape.is_leaf(old):
        removed = compare(shape, old, {}).removed
    if new and isinstance(new, dict) and not shape.is_leaf(new):
        added = compare(shape, {}, new).added
    return Comparison(added, {}, removed)


def _compare_items(shape: Shape, old: Any, new: Any) -> Comparison:
    """Several of one key are compared as a whole, and with a single one not at all."""
    before, after = isinstance(old, Repeated), isinstance(new, Repeated)
    if not before and not after:
        return compare(shape, old, new)
    if before and after:
        return _SAME if old == new else _MODIFIED
    if before:
        return (
            _REMOVED if new is ABSENT else Comparison(compare(shape, ABSENT, new).added, None, {})
        )
    return _ADDED if old is ABSENT else Comparison({}, None, compare(shape, old, ABSENT).removed)


def fields_of_new(shape: Shape, zero: Any, new: Any) -> FieldSet | None:
    """What `compare` says is added or modified, in one go and in upstream's order.

    `zero`: as Go writes an object of which nothing is set. Raises ValueError as `items_of`.
    """
    if not new or shape.always_leaf or shape.is_leaf(new):
        # An empty one in place of one with fields has only less.
        same = zero is not ABSENT and (zero == new or (not new and bool(zero)))
        return None if same else {}
    made: FieldSet = {} if zero is not ABSENT else {SELF: {}}
    if shape.is_list(new):
        items = items_of(shape, new)
        for key in sorted(items) if len(items) > 1 else items:
            item = items[key]
            plain = shape.element.leaves(tuple(item)) if type(item) is dict and item else None
            if plain is not None:  # Most of them: not worth a call.
                made[key] = plain
                continue
            found = {} if isinstance(item, Repeated) else fields_of_new(shape.element, ABSENT, item)
            assert found is not None
            made[key] = found
        return made
    held = zero if zero is not ABSENT and zero else {}
    if zero is ABSENT and (plain := shape.leaves(tuple(new))) is not None:
        return plain
    for name in sorted(new):
        value, child = new[name], shape.child(name)
        before = held.get(name, ABSENT)
        if child.always_leaf:  # Most of them: not worth a call.
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
    before = items_of(shape, None if old is ABSENT else old)
    after = items_of(shape, None if new is ABSENT else new)
    for key, item in before.items():
        yield key, shape.element, item, after.get(key, ABSENT)
    for key, item in after.items():
        if key not in before:
            yield key, shape.element, ABSENT, item
