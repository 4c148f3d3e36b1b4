"""Strategic merge patch: lists merge by the keys that the schema names.

Directives in a patch: `$patch: replace|delete|merge` in a map or a list's element,
`$deleteFromPrimitiveList/FIELD`, `$setElementOrder/FIELD`, `$retainKeys`.
Upstream: apimachinery pkg/util/strategicpatch/patch.go; sig-cli's strategic-merge-patch.md.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from tiphys.api.meta import Obj
from tiphys.api.schema import SCHEMA, Field, TypeDef
from tiphys.codec.patch import PatchError
from tiphys.codec.typed import json_kind

_DIRECTIVE: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_DELETE_PREFIX: Final = "$deleteFromPrimitiveList/"
_ORDER_PREFIX: Final = "$setElementOrder/"


def apply(document: Obj, patch: Any, type_name: str) -> Obj:
    """A new document; type_name names the document's type in the schema.

    Raises PatchError: 400 for what is no patch, 500 (as upstream) for one that does not fit.
    """
    if not isinstance(patch, dict):
        raise PatchError(
            f"json: cannot unmarshal {json_kind(patch)} into Go value of type"
            " map[string]interface {}",
            400,
        )
    return _merged_map(document, patch, SCHEMA.of(type_name))


def _merged_map(original: Obj, patch: Obj, schema: TypeDef | None) -> Obj:
    if _DIRECTIVE in patch:
        return _directed(patch)
    found = dict(original)
    if _RETAIN in patch:
        found = _retained(found, patch)
    ordered = _ordered_lists(found, patch, schema)
    for key, value in patch.items():
        if key == _RETAIN or key.startswith(_ORDER_PREFIX) or key in ordered:
            continue
        if key.startswith(_DELETE_PREFIX):
            _delete_from_list(found, key.removeprefix(_DELETE_PREFIX), value)
        elif value is None:
            found.pop(key, None)
        else:
            field = schema.fields.get(key) if schema is not None else None
            found[key] = _merged_value(found.get(key), value, field)
    return found | ordered


def _directed(patch: Obj) -> Obj:
    directive = patch[_DIRECTIVE]
    if directive == "replace":
        return {k: v for k, v in patch.items() if k != _DIRECTIVE}
    if directive == "delete":
        return {}
    raise PatchError(f"unknown patch type: {directive} in map: {_shown(patch)}", 400)


def _shown(value: Any) -> str:
    """Roughly as Go prints a map with %v."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{k}:{_shown(value[k])}' for k in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_shown, value))}]"
    return str(value)


def _retained(original: Obj, patch: Obj) -> Obj:
    keys = patch[_RETAIN]
    names = {k for k in patch if not k.startswith("$")}
    if not isinstance(keys, list):
        raise PatchError("invalid patch format of retainKeys", 400)
    if not names <= set(map(str, keys)):
        raise PatchError("invalid patch format of retainKeys", 400)
    return {k: v for k, v in original.items() if k in keys}


def _strategy(field: Field | None) -> str:
    """`merge`, `replace` or nothing; retainKeys only matters to who makes patches."""
    if field is None:
        return ""
    return next((s for s in field.patch_strategy if s != "retainKeys"), "")


def _merged_value(original: Any, value: Any, field: Field | None) -> Any:
    if isinstance(value, dict):
        if isinstance(original, dict) and _strategy(field) != "replace":
            return _merged_map(original, value, _schema_of(field))
        if _DIRECTIVE in value:
            return _directed(value)
        return _without_nulls(value)
    if isinstance(value, list):
        if field is not None and _strategy(field) == "merge":
            if isinstance(original, list):
                return _merged_list(original, value, field)
            return [v for v in map(_without_nulls, value) if not _is_deletion(v)]
        return _without_nulls(value)  # Taken whole: a directive in it is an unknown field.
    return value


def _is_deletion(value: Any) -> bool:
    return isinstance(value, dict) and value.get(_DIRECTIVE) in {"delete", "replace"}


def _schema_of(field: Field | None) -> TypeDef | None:
    return SCHEMA.of(field.ref) if field is not None and field.ref else None


def _without_nulls(value: Any) -> Any:
    """What a patch says of something that is not there yet: its nulls and directives go."""
    if isinstance(value, dict):
        return {
            k: _without_nulls(v)
            for k, v in value.items()
            if v is not None and k != _RETAIN and not k.startswith((_ORDER_PREFIX, _DELETE_PREFIX))
        }
    if isinstance(value, list):
        return [_without_nulls(v) for v in value]
    return value


def _merged_list(original: list[Any], patch: list[Any], field: Field) -> list[Any]:
    if not original and not patch:
        return original
    if not any(isinstance(v, dict) for v in (*original, *patch)):
        merged = _unique([*original, *patch])
        return _normal_order(merged, patch, original, "")
    key = field.patch_merge_key
    kept, rest = _special_elements(original, patch, key)
    merged = list(kept)
    places = _places([_key_of(o, key) for o in merged])
    for element in rest:
        token = _token(_merge_value_of(element, key))
        if token in places:
            at = places[token]
            merged[at] = _merged_map(merged[at], element, _schema_of(field))
        else:
            places[token] = len(merged)
            merged.append(_without_nulls(element))
    return _normal_order(merged, rest, original, key)


def _special_elements(
    original: list[Any], patch: list[Any], key: str
) -> tuple[list[Any], list[Any]]:
    """The original without what the patch deletes, and the patch's plain elements."""
    rest, replaced = [], False
    deleted: set[str | bytes] = set()
    for element in patch:
        if not isinstance(element, dict):
            raise PatchError("invalid typed merge-list: elements must be maps of one kind", 500)
        directive = element.get(_DIRECTIVE)
        if directive is None:
            rest.append(element)
        elif directive == "delete":
            deleted.add(_token(_merge_value_of(element, key)))
        elif directive == "replace":
            replaced = True
        else:
            raise PatchError(f"unknown patch type: {directive} in map: {_shown(element)}", 400)
    if replaced or not deleted:
        return ([] if replaced else original), rest
    return [o for o in original if _token(_key_of(o, key)) not in deleted], rest


def _token(value: Any) -> str | bytes:
    """A value as something to look up; comparing all with all would take lists of thousands."""
    return value if isinstance(value, str) else orjson.dumps(value)


def _places(values: Sequence[Any]) -> dict[str | bytes, int]:
    """Where each value stands first."""
    found: dict[str | bytes, int] = {}
    for index, value in enumerate(values):
        found.setdefault(_token(value), index)
    return found


def _key_of(element: Any, key: str) -> Any:
    return element.get(key) if isinstance(element, dict) else element


def _merge_value_of(element: Obj, key: str) -> Any:
    if key not in element:
        raise PatchError(f"map: {_shown(element)} does not contain declared merge key: {key}", 500)
    return element[key]


def _unique(values: list[Any]) -> list[Any]:
    return [values[at] for at in _places(values).values()]


def _delete_from_list(found: Obj, name: str, values: Any) -> None:
    if not isinstance(values, list):
        raise PatchError("invalid patch format of primitive list", 400)
    if isinstance(found.get(name), list):
        found[name] = _without(found[name], values)


def _without(values: list[Any], unwanted: list[Any]) -> list[Any]:
    tokens = set(map(_token, unwanted))
    return [v for v in values if _token(v) not in tokens]


def _ordered_lists(original: Obj, patch: Obj, schema: TypeDef | None) -> Obj:
    """The lists that `$setElementOrder` puts in order, merged."""
    found: Obj = {}
    for directive, order in patch.items():
        if not directive.startswith(_ORDER_PREFIX):
            continue
        name = directive.removeprefix(_ORDER_PREFIX)
        if not isinstance(order, list):
            raise PatchError("invalid patch format of setElementOrder list", 400)
        field = schema.fields.get(name) if schema is not None else None
        if field is None:
            raise PatchError(f'unable to find api field in struct for the json field "{name}"', 500)
        have, given = original.get(name), patch.get(name)
        if given is not None:
            _check_order(given, order, field.patch_merge_key)
        deletions = patch.get(f"{_DELETE_PREFIX}{name}")
        if deletions is not None and isinstance(have, list):
            have = _without(have, deletions)
        if have is None and given is None:
            continue
        merged = have if given is None else _merged_value(have, given, field)
        if isinstance(merged, list):
            found[name] = _normal_order(merged, order, have or [], field.patch_merge_key)
    return found


def _check_order(given: Any, order: list[Any], key: str) -> None:
    """The patch's own elements must stand in the order that it asks for."""
    if not isinstance(given, list):
        raise PatchError("invalid JSON document", 400)
    wanted = iter([_key_of(v, key) if key else v for v in order])
    plain = [v for v in given if not (isinstance(v, dict) and _DIRECTIVE in v)]
    for element in plain:
        value = _key_of(element, key) if key else element
        if not any(value == w for w in wanted):
            raise PatchError(
                f"The order in patch list:\n{_shown(given)}\n doesn't match $setElementOrder "
                f"list:\n{_shown(order)}\n",
                500,
            )


def _normal_order(
    merged: list[Any], order: list[Any], server_order: list[Any], key: str
) -> list[Any]:
    """Elements that the patch names in its order, the others where they stood."""

    def identity(element: Any) -> Any:
        return _key_of(element, key) if key else element

    wanted = _places([identity(v) for v in order])
    server = _places([identity(v) for v in server_order])
    tokens = [(v, _token(identity(v))) for v in merged]
    named = sorted((p for p in tokens if p[1] in wanted), key=lambda p: wanted[p[1]])
    others = [p for p in tokens if p[1] not in wanted]
    others.sort(key=lambda p: server.get(p[1], len(server_order)))
    return _interleaved(others, named, server)


Identified = tuple[Any, str | bytes]


def _interleaved(
    left: list[Identified], right: list[Identified], server: dict[str | bytes, int]
) -> list[Any]:
    found: list[Any] = []
    i = j = 0
    while i < len(left) and j < len(right):
        a, b = server.get(left[i][1]), server.get(right[j][1])
        if a is not None and b is not None and a < b:
            found.append(left[i][0])
            i += 1
        else:
            found.append(right[j][0])
            j += 1
    return found + [value for value, _ in (*left[i:], *right[j:])]
