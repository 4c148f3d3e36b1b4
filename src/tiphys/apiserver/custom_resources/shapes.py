"""The shape of a structural schema, by which server-side apply owns its fields.

Upstream: apiextensions-apiserver pkg/controller/openapi/builder, kube-openapi pkg/schemaconv.
"""

from typing import Any, Final

from tiphys.api.meta import Obj
from tiphys.codec.fields import go_value
from tiphys.codec.fields.shape import (
    ANY_SCALAR,
    BOOLEAN,
    DEDUCED,
    LEAF,
    NUMBER,
    STRING,
    ListShape,
    MapShape,
    Shape,
    StructShape,
    shape_of,
    whole_list,
    whole_map,
)


def root_shape(schema: Obj) -> Shape:
    """Of a whole object: its metadata is known without a schema."""
    named: dict[str, Shape] = {
        "apiVersion": LEAF,
        "kind": LEAF,
        "metadata": shape_of("meta.v1.ObjectMeta"),
    }
    return _struct(schema, named)


def schema_shape(schema: Obj) -> Shape:
    """Of one place of the schema."""
    if schema.get("x-kubernetes-embedded-resource"):
        return root_shape(schema)
    match schema.get("type"):
        case "object":
            return _map(schema)
        case "array":
            return _list(schema)
        case None | "" if not schema.get("x-kubernetes-int-or-string"):
            return DEDUCED
        case "string" if schema.get("format") not in (None, "", "byte"):
            return ANY_SCALAR
        case kind:
            return _SCALARS.get(kind or "", LEAF)


def _struct(schema: Obj, named: dict[str, Shape]) -> Shape:
    properties = schema.get("properties") or {}
    shape = Open if schema.get("x-kubernetes-preserve-unknown-fields") else Fields
    return shape(lambda: {k: schema_shape(v) for k, v in properties.items()} | named)


def _map(schema: Obj) -> Shape:
    if schema.get("x-kubernetes-map-type") == "atomic":
        return whole_map(_map({k: v for k, v in schema.items() if k != "x-kubernetes-map-type"}))
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        return Values(schema_shape(others))
    if not schema.get("properties"):
        return DEDUCED if schema.get("x-kubernetes-preserve-unknown-fields") or others else (
            Fields(dict)
        )  # fmt: skip
    return _struct(schema, {})


def _list(schema: Obj) -> Shape:
    items = schema.get("items")
    one = schema_shape(items) if isinstance(items, dict) else DEDUCED
    match schema.get("x-kubernetes-list-type"):
        case "set":
            return Items(one, (), {})
        case "map":
            keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
            return Items(one, keys, _key_defaults(items or {}, keys))
        case _:
            return whole_list(one)


def _key_defaults(items: Obj, keys: tuple[str, ...]) -> dict[str, Any]:
    properties = items.get("properties") or {}
    found = {key: (properties.get(key) or {}).get("default") for key in keys}
    return {key: default for key, default in found.items() if default is not None}


_SCALARS: Final = {"integer": NUMBER, "number": NUMBER, "string": STRING, "boolean": BOOLEAN}


# What a client sends may be of any type: it is taken as a whole then, and validation refuses it.


class Fields(StructShape):
    """A struct."""

    def is_leaf(self, value: Any) -> bool:
        return value is not None and not isinstance(value, dict)

    def unfit(self, value: Any) -> str:
        return f"expected map, got {go_value.printed(value)}"


class Values(MapShape):
    """A map."""

    def is_leaf(self, value: Any) -> bool:
        return value is not None and not isinstance(value, dict)

    def unfit(self, value: Any) -> str:
        return f"expected map, got {go_value.printed(value)}"


class Items(ListShape):
    """A list whose items have names."""

    def is_list(self, value: Any) -> bool:
        return value is None or isinstance(value, list)

    def is_leaf(self, value: Any) -> bool:
        return value is not None and not isinstance(value, list)

    def unfit(self, value: Any) -> str:
        return f"expected list, got {go_value.printed(value)}"


class Open(Fields):
    """A struct beside whose fields there may be others."""

    def has_field(self, key: str) -> bool:
        return True
