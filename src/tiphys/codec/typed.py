"""Objects of built-in kinds as Go's types would hold them.

What comes in is loose JSON; what goes out looks as if it had been decoded into Go's structs and
encoded again: unknown fields are gone, null and empty values are left out or written as zero where
Go does so, quantities and times are canonical, and a value of the wrong type is refused with Go's
words. Each type becomes one compiled table of functions, made when first used.

Upstream: sigs.k8s.io/json, encoding/json, the json tags of staging/src/k8s.io/api.
"""

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from tiphys.api.meta import Obj
from tiphys.api.quantity import QuantityError, normal
from tiphys.api.schema import SCHEMA, Field, TypeDef
from tiphys.codec.go_time import TimeError, normal_micro_time, normal_time

Convert = Callable[[Any], Any]

# Of one list. Objects that the store takes (1.5 MB) come near it; looking at each of the
# million items that a body of 3 MB may hold takes half a minute.
LIST_ITEMS_MAX: Final = 20_000
_INT32: Final = (-(2**31), 2**31 - 1)
_INT64: Final = (-(2**63), 2**63 - 1)


class DecodeError(ValueError):
    """A body that cannot be decoded into its type; the message is Go's."""


class _WrongType(Exception):
    """Climbs from a value to its object, gathering the path on the way."""

    def __init__(self, got: str, wanted: str) -> None:
        self.got, self.wanted = got, wanted
        self.struct = ""
        self.path: list[str] = []

    def text(self) -> str:
        where = ".".join([self.struct, *reversed(self.path)])
        return (
            f"json: cannot unmarshal {self.got} into Go struct field {where} of type {self.wanted}"
        )


def to_typed(obj: Obj, type_name: str) -> Obj:
    """A new object in the form described above. Raises DecodeError, KeyError for no such type."""
    try:
        made: Obj = _struct(type_name)(obj)
    except _WrongType as wrong:
        raise DecodeError(wrong.text()) from None
    except (QuantityError, TimeError) as wrong_value:
        raise DecodeError(str(wrong_value)) from None
    return made


# How many fields were met that no type knows. It only grows: servers in other threads count too, so
# that more may be found than there are, never fewer.
_unknown: Final = [0]


def to_typed_knowing(obj: Obj, type_name: str) -> tuple[Obj, bool]:
    """As `to_typed`, and whether everything in the object may be known to its type.

    False sends the caller to look field by field (`codec.json.strict_errors`): most need not.
    """
    before = _unknown[0]
    made = to_typed(obj, type_name)
    return made, _unknown[0] == before


def json_kind(value: Any) -> str:
    """Go's word for the kind of a JSON value."""
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "array" if isinstance(value, list) else "object"


@dataclass(slots=True)
class _Slot:
    """How one field is treated: what converts a value, and whether an empty result is kept."""

    name: str
    convert: Convert
    keep_empty: bool
    path: tuple[str, ...]  # Innermost first, embedded structs included.
    is_text: bool = False  # Any text is a value as it stands.


_ROOT_FIELDS: Final = ("apiVersion", "kind")


@cache  # noqa: B019,RUF100 - bounded by the number of types
def _struct(type_name: str) -> Convert:
    """The converter of a struct type; its table is made at the first call, for types recurse."""
    definition = SCHEMA.types[type_name]
    slots: dict[str, _Slot] = {}
    zeros: list[tuple[str, Callable[[], Any]]] = []
    own_name = _go_name(type_name)

    def prepare() -> None:
        slots.update({f.name: _slot(f, definition) for f in definition.fields.values()})
        if definition.is_root:
            slots.update({n: _Slot(n, _string("string"), False, (n,)) for n in _ROOT_FIELDS})
        zeros.extend(_zeros(definition))

    def convert(value: Any) -> Any:
        if not slots and not zeros:
            prepare()
        if not isinstance(value, dict):
            raise _WrongType(json_kind(value), own_name)
        out: Obj = {}
        slot: _Slot | None = None
        try:
            for name, given in value.items():
                slot = slots.get(name)
                if slot is None:
                    _unknown[0] += 1
                    continue
                if given is None:
                    continue
                # Texts, the most of what there is, need no call.
                made = given if slot.is_text and type(given) is str else slot.convert(given)
                if made or slot.keep_empty:
                    out[name] = made
        except _WrongType as wrong:
            if slot is not None:
                wrong.struct = wrong.struct or definition.short_name
                wrong.path.extend(slot.path)
            raise
        for name, zero in zeros:
            if name not in out:
                out[name] = zero()
        return out

    return convert


def _slot(field: Field, of: TypeDef) -> _Slot:
    convert = _converter(field, of.package)
    path = (field.name, *reversed(field.embedded))
    is_text = field.kind == "s" and not field.container and not field.ref
    return _Slot(field.name, convert, _keeps_empty(field), path, is_text)


_STRUCT_KINDS: Final = frozenset("TUQIRJABC")


def _is_struct(field: Field) -> bool:
    """Whether Go holds the value in a struct, which omitempty never leaves out."""
    return not field.container and (bool(field.ref) or field.kind in _STRUCT_KINDS)


def _keeps_empty(field: Field) -> bool:
    if field.container:
        return False  # Upstream's stored form does not tell empty from missing.
    return field.pointer or not field.omit_empty or _is_struct(field)


def _zeros(definition: TypeDef) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The fields that Go writes though nothing was given, and what it writes."""
    for field in definition.fields.values():
        if field.omit_zero or (field.omit_empty and (field.pointer or not _is_struct(field))):
            continue
        yield field.name, _zero(field)


_ZERO_VALUES: Final = {"s": "", "i": 0, "l": 0, "b": False, "e": 0.0, "Q": "0", "I": 0}


def _zero(field: Field) -> Callable[[], Any]:
    if field.container or field.pointer:
        return lambda: None
    if field.ref:
        ref = field.ref
        return lambda: _struct(ref)({})
    value = _ZERO_VALUES.get(field.kind)
    return lambda: value


def go_type(field: Field, package: str) -> str:
    """The Go name of the type of one value of a field, as `v1.Container` or `int32`."""
    if field.ref:
        return _go_name(field.ref)
    if field.go_name == "UID":
        return "types.UID"
    if field.go_name:
        # Of autoscaling/v2, two types come from core/v1.
        shared = field.go_name in {"ResourceName", "ConditionStatus"}
        return f"{'v1' if shared else package.rpartition('.')[2]}.{field.go_name}"
    return _GO_TYPES.get(field.kind, "string")


def _go_name(type_name: str) -> str:
    """`v1.Container` for core.v1.Container."""
    return ".".join(type_name.rsplit(".", 2)[-2:])


_GO_TYPES: Final = {
    "s": "string", "i": "int32", "l": "int64", "b": "bool", "y": "[]uint8", "e": "float64",
}  # fmt: skip


def _converter(field: Field, package: str) -> Convert:
    wanted = go_type(field, package)
    one = _struct(field.ref) if field.ref else _SCALARS[field.kind](wanted)
    empty = _element_zero(field)
    match field.container:
        case "list":
            return _list(one, empty, f"[]{wanted}")
        case "map":
            named = "v1.ResourceList" if field.kind == "Q" else f"map[string]{wanted}"
            return _map(one, empty, named)
        case "map of list":
            inner = wanted if field.go_name else "[]string"
            return _map(_list(_string("string"), "", inner), None, f"map[string]{inner}")
    return one


def _element_zero(field: Field) -> Any:
    """What null becomes as an element of a list or map."""
    if field.ref:
        ref = field.ref
        return lambda: _struct(ref)({})
    return "" if field.kind == "y" else _ZERO_VALUES.get(field.kind)


def _list(one: Convert, empty: Any, wanted: str) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, list):
            raise _WrongType(json_kind(value), wanted)
        if len(value) > LIST_ITEMS_MAX:
            raise DecodeError(f"a list has {len(value)} items: at most {LIST_ITEMS_MAX} are read")
        return [one(v) if v is not None else _made(empty) for v in value]

    return convert


def _map(one: Convert, empty: Any, wanted: str) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _WrongType(json_kind(value), wanted)
        return {k: one(v) if v is not None else _made(empty) for k, v in value.items()}

    return convert


def _made(empty: Any) -> Any:
    return empty() if callable(empty) else empty


def _string(wanted: str) -> Convert:
    def convert(value: Any) -> Any:
        if isinstance(value, str):
            return value
        raise _WrongType(json_kind(value), wanted)

    return convert


def _integer(bounds: tuple[int, int]) -> Callable[[str], Convert]:
    low, high = bounds

    def make(wanted: str) -> Convert:
        def convert(value: Any) -> Any:
            if isinstance(value, int) and not isinstance(value, bool):
                if low <= value <= high:
                    return value
                raise _WrongType(f"number {value}", wanted)
            if isinstance(value, float):
                raise _WrongType(f"number {value!r}", wanted)
            raise _WrongType(json_kind(value), wanted)

        return convert

    return make


def _boolean(wanted: str) -> Convert:
    def convert(value: Any) -> Any:
        if isinstance(value, bool):
            return value
        raise _WrongType(json_kind(value), wanted)

    return convert


def _double(wanted: str) -> Convert:
    def convert(value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
        raise _WrongType(json_kind(value), wanted)

    return convert


def _bytes(wanted: str) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, str):
            raise _WrongType(json_kind(value), wanted)
        return normal_base64(value)

    return convert


def normal_base64(text: str) -> str:
    """Standard base64 as Go reads it: line breaks are skipped. Raises DecodeError."""
    plain = text.replace("\n", "").replace("\r", "") if "\n" in text or "\r" in text else text
    try:
        base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError):
        raise DecodeError(f"illegal base64 data at input byte {_bad_byte(plain)}") from None
    return plain


_BASE64: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def _bad_byte(text: str) -> int:
    """Where Go's decoder stops."""
    for at, c in enumerate(text):
        if c in _BASE64:
            continue
        if c == "=" and at % 4 >= 2:
            padding = 4 - at % 4
            if text[at : at + padding] == "=" * padding:
                return at + padding
            return at + 1
        return at
    return max(len(text) - len(text) % 4, 0) if len(text) % 4 == 0 else len(text)


def _quantity(_: str) -> Convert:
    return normal


def _time(reads: Callable[[str], str | None]) -> Callable[[str], Convert]:
    def make(_: str) -> Convert:
        def convert(value: Any) -> Any:
            if not isinstance(value, str):
                raise _WrongType(json_kind(value), "string")
            return reads(value)

        return convert

    return make


def _int_or_string(_: str) -> Convert:
    number = _integer(_INT32)("int32")

    def convert(value: Any) -> Any:
        return value if isinstance(value, str) else number(value)

    return convert


def _any(_: str) -> Convert:
    return lambda value: value


_PROPS: Final = "apiextensions.v1.JSONSchemaProps"


def _props_or(allowed: type) -> Callable[[str], Convert]:
    """JSONSchemaPropsOrArray, OrBool and OrStringArray: a schema, or something simpler."""

    def make(_: str) -> Convert:
        def convert(value: Any) -> Any:
            if isinstance(value, dict):
                return _struct(_PROPS)(value)
            if isinstance(value, list) and allowed is dict:
                return [_struct(_PROPS)(v) for v in value]
            return value

        return convert

    return make


_SCALARS: Final[dict[str, Callable[[str], Convert]]] = {
    "s": _string,
    "i": _integer(_INT32),
    "l": _integer(_INT64),
    "b": _boolean,
    "y": _bytes,
    "e": _double,
    "T": _time(normal_time),
    "U": _time(normal_micro_time),
    "Q": _quantity,
    "I": _int_or_string,
    "R": _any,
    "J": _any,
    "A": _props_or(dict),
    "B": _props_or(bool),
    "C": _props_or(str),
}
