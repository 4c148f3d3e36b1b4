"""Types from the structural schemas of custom resources, with the bounds they give.

What a schema does not describe is not seen by expressions. Names of fields that are no identifiers,
or words of the language, are escaped.
Upstream: apiserver/pkg/cel/common/schemas.go, pkg/cel/types.go, escaping.go, limits.go.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tiphys.cel import types
from tiphys.cel.environment import Fields, Structs
from tiphys.cel.estimate import Path
from tiphys.cel.types import Type

Schema = Mapping[str, Any]
REQUEST_BYTES_MAX: Final = 3 * 1024 * 1024  # apis/cel/config.go MaxRequestSizeBytes
_NAME_CHARS_MAX: Final = 253
_INT_OR_STRING: Final = "x-kubernetes-int-or-string"
EMBEDDED: Final = "x-kubernetes-embedded-resource"
# (the type, the shortest JSON, the longest text), by a string's format: limits.go
_TIMES: Final = {
    "duration": (types.DURATION, 3, 32),
    "date": (types.TIMESTAMP, 12, 12),
    "date-time": (types.TIMESTAMP, 21, 32),
}
_RESERVED: Final = frozenset({
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function",
    "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
})  # fmt: skip
_ESCAPES: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ESCAPED: Final = re.compile(r"__|[-./]")
_NAME: Final = re.compile(r"[A-Za-z_./-][A-Za-z0-9_./-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class SchemaType:
    """`size_max`: of items or characters; 0 where it says nothing. `fields` by escaped names."""

    type: Type
    bytes_min: int
    size_max: int = 0
    key: "SchemaType | None" = None
    element: "SchemaType | None" = None
    fields: Mapping[str, "SchemaType"] = field(default_factory=dict)

    def size_at(self, path: Path) -> int | None:
        """See estimate.SizeMax. The first step is the variable, which this type is of."""
        at: SchemaType | None = self
        for step in path[1:]:
            assert at is not None
            if step in ("@items", "@values"):
                at = at.element
            elif step == "@keys":
                at = at.key
            else:
                at = at.fields.get(step)
            if at is None:
                return None
        return at.size_max if at is not None else None


def escaped(name: str) -> str | None:
    """A field's name in expressions; None where it has none."""
    if name in _RESERVED:
        return f"__{name}__"
    if _NAME.fullmatch(name) is None:
        return None
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], name)


def unescaped(name: str) -> str:
    if name.startswith("__") and name.endswith("__") and name[2:-2] in _RESERVED:
        return name[2:-2]
    for sign, escape in _ESCAPES.items():
        if sign != "__":
            name = name.replace(escape, sign)
    return name.replace("__underscores__", "__")


_STRING: Final = SchemaType(types.STRING, 2, REQUEST_BYTES_MAX - 2)


def schema_type(schema: Schema, *, is_root: bool) -> SchemaType | None:
    """None for what expressions do not see. `is_root`: of a resource, whose metadata is known."""
    if schema.get(_INT_OR_STRING):
        length = schema.get("maxLength")
        size_max = max(length, 0) * 4 if length is not None else REQUEST_BYTES_MAX - 2
        return SchemaType(types.DYN, 1, size_max)
    match schema.get("type"):
        case "array":
            return _array(schema)
        case "object":
            return _map(schema) if _values(schema) is not None else _object(schema, is_root=is_root)
        case "string":
            return _string(schema)
        case "boolean":
            return SchemaType(types.BOOL, 4)
        case "number":
            return SchemaType(types.DOUBLE, 1)
        case "integer":
            return SchemaType(types.INT, 1)
        case _:
            return None


def _values(schema: Schema) -> Schema | None:
    others = schema.get("additionalProperties")
    return others if isinstance(others, Mapping) else None


def _within(schema: Schema) -> SchemaType | None:
    return schema_type(schema, is_root=bool(schema.get(EMBEDDED)))


def _array(schema: Schema) -> SchemaType | None:
    items = schema.get("items")
    element = _within(items) if isinstance(items, Mapping) else None
    if element is None:
        return None
    most = schema.get("maxItems")
    count = max(most, 0) if most is not None else (REQUEST_BYTES_MAX - 2) // (element.bytes_min + 1)
    return SchemaType(types.list_of(element.type), 2, count, element=element)


def _map(schema: Schema) -> SchemaType | None:
    values = _values(schema)
    element = _within(values) if values is not None else None
    if element is None:
        return None
    most = schema.get("maxProperties")
    count = max(most, 0) if most is not None else (REQUEST_BYTES_MAX - 2) // (element.bytes_min + 6)
    kind = types.map_of(types.STRING, element.type)
    # A key's bounds are not known: upstream's string type has none.
    return SchemaType(kind, 2, count, key=replace(_STRING, size_max=0), element=element)


def _object(schema: Schema, *, is_root: bool) -> SchemaType:
    needed = set(schema.get("required") or ())
    fields: dict[str, SchemaType] = {}
    bytes_min = 2
    properties = dict(schema.get("properties") or {})
    for name, inner in properties.items():
        found = _within(inner)
        if found is None:
            continue
        if (own := escaped(name)) is not None:
            fields[own] = found
        if name in needed and inner.get("default") is None:
            bytes_min += len(name.encode()) + found.bytes_min + 4
    if is_root:
        fields |= _resource_fields(properties.get("metadata") or {})
    return SchemaType(types.struct("object"), bytes_min, fields=fields)


def _resource_fields(metadata: Schema) -> dict[str, SchemaType]:
    """What each resource has: of its metadata only names are seen."""
    properties = metadata.get("properties") or {}
    name = _name_type(properties.get("name"), _NAME_CHARS_MAX)
    generate_name = _name_type(properties.get("generateName"), _NAME_CHARS_MAX - 1)
    fields = {"name": name, "generateName": generate_name}
    return {
        "kind": _STRING,
        "apiVersion": _STRING,
        "metadata": SchemaType(types.struct("object"), 2, fields=fields),
    }


def _name_type(schema: Schema | None, chars_max: int) -> SchemaType:
    length = (schema or {}).get("maxLength")
    chars = min(length, chars_max) if length is not None else chars_max
    return replace(_STRING, size_max=chars * 4)


def _string(schema: Schema) -> SchemaType:
    form, length = schema.get("format") or "", schema.get("maxLength")
    if form in _TIMES:
        kind, bytes_min, chars_max = _TIMES[form]
        return SchemaType(kind, bytes_min, chars_max)
    if form == "byte":
        size = max(length, 0) if length is not None else REQUEST_BYTES_MAX - 2
        return SchemaType(types.BYTES, 2, size)
    if length is not None:  # A character may need four bytes.
        return replace(_STRING, size_max=max(length, 0) * 4)
    if choices := schema.get("enum"):
        lengths = [len(one.encode()) for one in choices if isinstance(one, str)]
        return replace(_STRING, size_max=max(lengths, default=0))
    return _STRING


# --- names for the objects, which types must have


class SchemaStructs(Structs):
    """The objects of one schema, by the names that `named` gives."""

    def key(self, name: str, field_name: str) -> str:
        return unescaped(field_name) if name in self._known else field_name


def named(one: SchemaType, name: str) -> tuple[SchemaType, dict[str, Fields]]:
    """The type with names of its objects, and the fields of each of them."""
    known: dict[str, Fields] = {}
    return _named(one, name, known), known


def _named(one: SchemaType, name: str, known: dict[str, Fields]) -> SchemaType:
    if one.type.kind == types.STRUCT_KIND:
        fields = {key: _named(inner, f"{name}.{key}", known) for key, inner in one.fields.items()}
        known[name] = {key: inner.type for key, inner in fields.items()}
        return replace(one, type=types.struct(name), fields=fields)
    if one.element is None:
        return one
    is_map = one.type.kind == types.MAP_KIND
    element = _named(one.element, f"{name}.{'@elem' if is_map else '@idx'}", known)
    kind = types.map_of(types.STRING, element.type) if is_map else types.list_of(element.type)
    return replace(one, type=kind, element=element)
