"""How a value is made up of fields: what is compared and owned one by one, and what as a whole.

Upstream: kube-openapi pkg/schemaconv, structured-merge-diff schema/elements.go.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

import orjson

from tiphys.api.schema import SCHEMA, Field
from tiphys.codec.fields.field_set import SELF, FieldSet

LEAVES_MAX: Final = 64  # Of one struct; clients write few combinations of its fields.


class Shape(Protocol):
    """One place in the schema."""

    list_keys: tuple[str, ...]  # The fields by which an item of a list is known.

    def is_list(self, value: Any) -> bool: ...

    def is_leaf(self, value: Any) -> bool:
        """A scalar, or something that is owned as a whole."""
        ...

    def unfit(self, value: Any) -> str:
        """Why a leaf cannot be the value, or an empty text."""
        ...

    def child(self, key: str) -> "Shape": ...

    def has_field(self, key: str) -> bool:
        """Whether the schema names the key; it is a map's own otherwise."""
        ...

    def leaves(self, keys: tuple[str, ...]) -> FieldSet | None:
        """A member with these below it, when the schema names all of them and all are leaves.

        Many items of lists are of that form, such as variables. Not to be changed: it is shared.
        """
        ...

    @property
    def element(self) -> "Shape":
        """Of the items of a list."""
        ...

    def item_key(self, item: Any) -> str:
        """The path element of a list's item. Raises ValueError for one without its keys."""
        ...


class Deduced:
    """No schema: objects are maps of fields, lists are wholes."""

    list_keys: tuple[str, ...] = ()

    def is_list(self, value: Any) -> bool:
        return isinstance(value, list)

    def is_leaf(self, value: Any) -> bool:
        return not isinstance(value, dict)

    def unfit(self, value: Any) -> str:
        return ""

    def child(self, key: str) -> Shape:
        return self

    def has_field(self, key: str) -> bool:
        return False

    def leaves(self, keys: tuple[str, ...]) -> FieldSet | None:
        return None

    @property
    def element(self) -> Shape:
        return self

    def item_key(self, item: Any) -> str:
        raise ValueError("no item of an atomic list has a name")


DEDUCED: Final[Shape] = Deduced()


class Leaf(Deduced):
    """A scalar, or an atomic list, map or struct."""

    def is_leaf(self, value: Any) -> bool:
        return True


LEAF: Final[Shape] = Leaf()


class MapShape(Deduced):
    """A map whose keys are owned one by one."""

    def __init__(self, element: Shape) -> None:
        self._element = element

    def is_list(self, value: Any) -> bool:
        return False

    def is_leaf(self, value: Any) -> bool:
        return False

    def child(self, key: str) -> Shape:
        return self._element


class StructShape(Deduced):
    """A struct. Fields are looked up when asked for: types refer to each other."""

    def __init__(self, fields: Callable[[], Mapping[str, Shape]]) -> None:
        self._load = fields
        self._fields: Mapping[str, Shape] | None = None
        self._leaves: dict[tuple[str, ...], FieldSet] = {}

    @property
    def fields(self) -> Mapping[str, Shape]:
        if self._fields is None:
            self._fields = self._load()
        return self._fields

    def is_list(self, value: Any) -> bool:
        return False

    def is_leaf(self, value: Any) -> bool:
        return False

    def child(self, key: str) -> Shape:
        return self.fields.get(key, DEDUCED)

    def has_field(self, key: str) -> bool:
        return key in self.fields

    def leaves(self, keys: tuple[str, ...]) -> FieldSet | None:
        found = self._leaves.get(keys)
        if found is None and all(self.child(key) is LEAF for key in keys):
            found = {SELF: {}, **{f"f:{key}": {} for key in sorted(keys)}}
            if len(self._leaves) < LEAVES_MAX:
                self._leaves[keys] = found
        return found


class ListShape(Deduced):
    """A list whose items have names: by the value of their keys, or, without keys, their own."""

    def __init__(
        self, element: Shape, list_keys: tuple[str, ...], defaults: Mapping[str, Any]
    ) -> None:
        self._element = element
        self.list_keys = list_keys
        self._only_key = list_keys[0] if len(list_keys) == 1 else ""
        self._defaults = defaults

    def is_list(self, value: Any) -> bool:
        return True

    def is_leaf(self, value: Any) -> bool:
        return False

    @property
    def element(self) -> Shape:
        return self._element

    def item_key(self, item: Any) -> str:
        if not self.list_keys:
            if isinstance(item, (dict, list)) or item is None:
                raise ValueError("set items must be scalars")
            return f"v:{_json(item)}"
        if not isinstance(item, dict):
            raise ValueError("associative list with keys may not have non-map elements")
        if self._only_key and (text := item.get(self._only_key)).__class__ is str:
            return f'k:{{"{self._only_key}":{_json(text)}}}'  # Most lists: a name.
        found = {}
        for key in self.list_keys:
            value = item.get(key)
            if value is None:
                value = self._defaults.get(key)
            if value is not None:
                found[key] = value
        if not found:
            names = ", ".join(f'"{key}"' for key in self.list_keys)
            raise ValueError(
                f"associative list with keys has an element that omits key field {names}"
                " (and doesn't have default value)"
            )
        return f"k:{_json(found)}"


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


# Keys of items that the schema has a default for. Source: OpenAPI of core/v1, `default: TCP`.
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "core.v1.ContainerPort": {"protocol": "TCP"},
    "core.v1.ServicePort": {"protocol": "TCP"},
}


def _key_defaults(type_name: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    """Of what Go never leaves out the default is its zero, as OpenAPI says."""
    fields = SCHEMA.types[type_name].fields
    zeros: dict[str, Any] = {
        key: _ZEROS[fields[key].kind]
        for key in keys
        if not fields[key].omit_empty and fields[key].kind in _ZEROS
    }
    return {**zeros, **_DEFAULTS.get(type_name, {})}


@lru_cache(maxsize=1024)
def shape_of(type_name: str) -> Shape:
    """The shape of a built-in type, `apps.v1.Deployment`."""
    definition = SCHEMA.types[type_name]
    if definition.atomic:
        return LEAF
    return StructShape(
        lambda: {name: _shape_of_field(field) for name, field in definition.fields.items()}
    )


def _shape_of_field(field: Field) -> Shape:
    one = shape_of(field.ref) if field.ref else DEDUCED if field.kind in "RJ" else LEAF
    match field.container:
        case "list" if field.list_type == "map":
            return ListShape(one, field.map_keys, _key_defaults(field.ref, field.map_keys))
        case "list" if field.list_type == "set":
            return ListShape(LEAF, (), {})
        case "list":
            return LEAF
        case "map":
            return LEAF if field.map_type == "atomic" else MapShape(one)
        case "map of list":
            return MapShape(LEAF)
        case _:
            return LEAF if field.map_type == "atomic" else one


@lru_cache(maxsize=256)
def zero_of(type_name: str) -> Mapping[str, Any]:
    """What Go writes of a new object: the fields that it never leaves out. Not to be changed."""
    made: dict[str, Any] = {}
    for name, field in SCHEMA.types[type_name].fields.items():
        if field.container:
            if not field.omit_empty:
                made[name] = None
        elif field.ref:
            if not field.pointer and not field.omit_zero:
                made[name] = zero_of(field.ref)
        elif not (field.pointer or field.omit_zero) and (
            not field.omit_empty or field.kind in _STRUCTS
        ):
            made[name] = _ZEROS.get(field.kind)
    return made


_STRUCTS: Final = "TUQI"  # Kinds that Go holds in a struct, which it never leaves out.
_ZEROS: Final[Mapping[str, Any]] = {"s": "", "i": 0, "l": 0, "e": 0, "b": False, "Q": "0", "I": 0}
