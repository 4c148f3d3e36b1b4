"""The shape of a structural schema, by which server-side apply owns its fields.

Upstream: apiextensions-apiserver pkg/controller/openapi/builder, kube-openapi pkg/schemaconv.
"""

from typing import Any, Final

from tiphys.api.meta import Obj
from tiphys.codec.fields.shape import (
    DEDUCED,
    LEAF,
    Leaf,
    ListShape,
    MapShape,
    Shape,
    StructShape,
    shape_of,
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
        case kind:
            return _SCALARS.get(kind or "", LEAF)


def _struct(schema: Obj, named: dict[str, Shape]) -> Shape:
    properties = schema.get("properties") or {}
    shape = Open if schema.get("x-kubernetes-preserve-unknown-fields") else Fields
    return shape(lambda: {k: schema_shape(v) for k, v in properties.items()} | named)


def _map(schema: Obj) -> Shape:
    if schema.get("x-kubernetes-map-type") == "atomic":
        return LEAF
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
            return Items(LEAF, (), {})
        case "map":
            keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
            return Items(one, keys, _key_defaults(items or {}, keys))
        case _:
            return LEAF


def _key_defaults(items: Obj, keys: tuple[str, ...]) -> dict[str, Any]:
    properties = items.get("properties") or {}
    found = {key: (properties.get(key) or {}).get("default") for key in keys}
    return {key: default for key, default in found.items() if default is not None}


class Scalar(Leaf):
    """A leaf whose type is known. The words are structured-merge-diff's."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def unfit(self, value: Any) -> str:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        match self._kind:
            case "integer" | "number" if not is_number:
                return f"expected numeric (int or float), got {_go_kind(value)}"
            case "string" if not isinstance(value, str):
                return f"expected string, got {_go_value(value)}"
            case "boolean" if not isinstance(value, bool):
                return f"expected boolean, got {_go_value(value)}"
            case _:
                return ""


_SCALARS: Final = {kind: Scalar(kind) for kind in ("integer", "number", "string", "boolean")}


def _go_kind(value: Any) -> str:
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    return "[]interface {}" if isinstance(value, list) else "map[string]interface {}"


def _go_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


# What a client sends may be of any type: it is taken as a whole then, and validation refuses it.


class Fields(StructShape):
    """A struct."""

    def is_leaf(self, value: Any) -> bool:
        return value is not None and not isinstance(value, dict)

    def unfit(self, value: Any) -> str:
        return f"expected map, got {_go_value(value)}"


class Values(MapShape):
    """A map."""

    def is_leaf(self, value: Any) -> bool:
        return value is not None and not isinstance(value, dict)

    def unfit(self, value: Any) -> str:
        return f"expected map, got {_go_value(value)}"


class Items(ListShape):
    """A list whose items have names."""

    def is_list(self, value: Any) -> bool:
        return value is None or isinstance(value, list)

    def is_leaf(self, value: Any) -> bool:
        return value is not None and not isinstance(value, list)

    def unfit(self, value: Any) -> str:
        return f"expected list, got {_go_value(value)}"


class Open(Fields):
    """A struct beside whose fields there may be others."""

    def has_field(self, key: str) -> bool:
        return True
