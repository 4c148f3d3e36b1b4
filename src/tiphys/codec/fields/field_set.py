"""Sets of fields, in the form in which they are on the wire (metav1.FieldsV1).

A set is a tree of dictionaries. Keys are `f:NAME` of a field or map key, `k:{...}` of an item of a
list that is a map, `v:VALUE` of an item of a set. `{}` is a member; a member that has others below
it holds `.`; a node without `.` only leads to its members. The empty set is None: `{}` would be the
set that holds its own root.

Upstream: sigs.k8s.io/structured-merge-diff fieldpath/set.go, serialize.go.
"""

import json
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from tiphys.api.field_errors import go_quoted

FieldSet: TypeAlias = dict[str, Any]
SELF: Final = "."


def is_member(node: FieldSet) -> bool:
    return not node or SELF in node


def union(one: FieldSet | None, other: FieldSet | None) -> FieldSet | None:
    if one is None or other is None:
        return other if one is None else one
    if one is other:
        return one
    made = {key: value for key, value in one.items() if key != SELF}
    for key, value in other.items():
        if key != SELF:
            made[key] = union(made.get(key), value)
    return _node(made, is_self=is_member(one) or is_member(other))


def difference(one: FieldSet | None, other: FieldSet | None) -> FieldSet | None:
    """The members of the first that are not in the second; what is below those stays."""
    if one is None or other is None:
        return one
    made = {}
    for key, value in one.items():
        if key != SELF and (left := difference(value, other.get(key))) is not None:
            made[key] = left
    return _made(made, is_self=is_member(one) and not is_member(other))


def difference_below(one: FieldSet | None, other: FieldSet | None) -> FieldSet | None:
    """As `difference`, and a member of the second takes away all that is below it."""
    if one is None or other is None:
        return one
    if is_member(other):
        return None
    made = {}
    for key, value in one.items():
        if key != SELF and (left := difference_below(value, other.get(key))) is not None:
            made[key] = left
    return _made(made, is_self=is_member(one))


def intersection(one: FieldSet | None, other: FieldSet | None) -> FieldSet | None:
    if one is None or other is None:
        return None
    made = {}
    for key, value in one.items():
        if key != SELF and (left := intersection(value, other.get(key))) is not None:
            made[key] = left
    return _made(made, is_self=is_member(one) and is_member(other))


def _made(children: FieldSet, *, is_self: bool) -> FieldSet | None:
    return _node(children, is_self=is_self) if children or is_self else None


def _node(children: FieldSet, *, is_self: bool) -> FieldSet:
    return {SELF: {}, **children} if children and is_self else children


def in_order(node: FieldSet) -> FieldSet:
    """Keys as upstream writes them: `.`, fields, items by their keys, items by their values."""
    keys = sorted(node, key=_rank)
    return {key: in_order(node[key]) for key in keys}


def _rank(key: str) -> tuple[int, str]:
    return ".fkvi".find(key[0]), key


def members(node: FieldSet, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of each member, in order: keys of items by what they say."""
    if above and is_member(node):
        yield above
    for key in sorted(node, key=_place):
        if key != SELF:
            yield from members(node[key], (*above, key))


def _place(key: str) -> tuple[int, Any]:
    kind, text = _rank(key)
    match key[0]:
        case "k":
            pairs = json.loads(text[2:]).items()
            return kind, sorted((name, *_by_value(value)) for name, value in pairs)
        case "v":
            return kind, _by_value(json.loads(text[2:]))
        case _:
            return kind, text


def _by_value(value: Any) -> tuple[int, Any]:
    """Numbers, then texts, then truth values, then null. Upstream: value.Compare."""
    if value is None:
        return 3, 0
    return (2 if isinstance(value, bool) else 1 if isinstance(value, str) else 0), value


def path_text(path: tuple[str, ...]) -> str:
    """`.spec.containers[name="a"].image`, as errors name a field."""
    return "".join(_part_text(part) for part in path)


def _part_text(part: str) -> str:
    kind, _, rest = part.partition(":")
    match kind:
        case "f":
            return f".{rest}"
        case "k":
            pairs = sorted(json.loads(rest).items())
            return "[" + ",".join(f"{k}={_value_text(v)}" for k, v in pairs) + "]"
        case "v":
            return f"[={_value_text(json.loads(rest))}]"
        case _:
            return f"[{rest}]"


def _value_text(value: Any) -> str:
    return go_quoted(value) if isinstance(value, str) else json.dumps(value)
