"""How a value is made up of fields: what is compared and owned one by one, and what as a whole.

Upstream: kube-openapi pkg/schemaconv, structured-merge-diff schema/elements.go.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

import orjson

from tiphys.api.schema import SCHEMA, Field
from tiphys.codec.fields import go_value
from tiphys.codec.fields.field_set import SELF, FieldSet

LEAVES_MAX: Final = 64  # Of one struct; clients write few combinations of its fields.


class Shape(Protocol):
    """One place in the schema."""

    list_keys: tuple[str, ...]  # The fields by which an item of a list is known.
    always_leaf: bool  # Whatever the value.

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
    always_leaf = False

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

    always_leaf = True

    def is_leaf(self, value: Any) -> bool:
        return True


LEAF: Final[Shape] = Leaf()


class Scalar(Leaf):
    """A leaf whose type is known. The words are structured-merge-diff's."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def unfit(self, value: Any) -> str:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        match self._kind:
            case "number" if not is_number:
                return f"expected numeric (int or float), got {go_value.kind(value)}"
            case "string" if not isinstance(value, str):
                return f"expected string, got {go_value.as_source(value)}"
            case "boolean" if not isinstance(value, bool):
                return f"expected boolean, got {go_value.printed(value)}"
            case "any" if isinstance(value, (dict, list)):
                return f"expected any scalar, got {go_value.printed(value)}"
            case _:
                return ""


STRING: Final[Shape] = Scalar("string")
NUMBER: Final[Shape] = Scalar("number")
BOOLEAN: Final[Shape] = Scalar("boolean")
ANY_SCALAR: Final[Shape] = Scalar("any")


class Whole(Leaf):
    """A list or a map that is owned as a whole. `within`: of its items, or of the map itself."""

    def __init__(self, word: str, kind: type, within: Shape = DEDUCED) -> None:
        self._word = word
        self._kind = kind
        self.within = within

    def unfit(self, value: Any) -> str:
        if isinstance(value, self._kind):
            return ""
        return f"expected {self._word}, got {go_value.printed(value)}"


def whole_list(items: Shape) -> Shape:
    return Whole("list", list, items)


def whole_map(fields: Shape) -> Shape:
    return fields if isinstance(fields, Whole) else Whole("map", dict, fields)


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
        if found is None and all(self.child(key).always_leaf for key in keys):
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
            return f"v:{_json(_scalar(item))}"
        if item is None:
            raise ValueError("associative list with keys may not have a null element")
        if not isinstance(item, dict):
            raise ValueError("associative list with keys may not have non-map elements")
        if self._only_key and (text := item.get(self._only_key)).__class__ is str:
            return f'k:{{"{self._only_key}":{_json(text)}}}'  # Most lists: a name.
        found = {}
        for key in self.list_keys:
            if key in item:
                found[key] = item[key]
            elif key in self._defaults:
                found[key] = self._defaults[key]
        if not found:
            names = " ".join(f'"{key}"' for key in self.list_keys)
            raise ValueError(
                f"associative list with keys has an element that omits all key fields [{names}]"
                " (and doesn't have default values for any key fields)"
            )
        return f"k:{_json(found)}"


def _scalar(item: Any) -> Any:
    if isinstance(item, dict):
        raise ValueError("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise ValueError("not supported: associative list with lists as elements")
    if item is None:
        raise ValueError("associative list without keys has an element that's an explicit null")
    return item


def _json(value: Any) -> str:
    """Raises ValueError for a key that is nested so deeply that it can be none."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError as error:
        raise ValueError(f"an element's key cannot be written: {error}") from None


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


# Letters of the schema's kinds; quantities and the like may be written in several ways.
_OF_KINDS: Final[Mapping[str, Shape]] = {
    "s": STRING,
    "y": STRING,
    "T": ANY_SCALAR,
    "U": ANY_SCALAR,
    "i": NUMBER,
    "l": NUMBER,
    "e": NUMBER,
    "b": BOOLEAN,
    "R": DEDUCED,
    "J": DEDUCED,
}


@lru_cache(maxsize=1024)
def shape_of(type_name: str) -> Shape:
    """The shape of a built-in type, `apps.v1.Deployment`."""
    definition = SCHEMA.types[type_name]
    shape = StructShape(
        lambda: {name: _shape_of_field(field) for name, field in definition.fields.items()}
    )
    return whole_map(shape) if definition.atomic else shape


def _shape_of_field(field: Field) -> Shape:
    one = shape_of(field.ref) if field.ref else _OF_KINDS.get(field.kind, LEAF)
    match field.container:
        case "list" if field.list_type == "map":
            return ListShape(one, field.map_keys, _key_defaults(field.ref, field.map_keys))
        case "list" if field.list_type == "set":
            return ListShape(one, (), {})
        case "list":
            return whole_list(one)
        case "map":
            made: Shape = MapShape(one)
        case "map of list":
            made = MapShape(whole_list(one))
        case _:
            made = one
    return whole_map(made) if field.map_type == "atomic" else made


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
