"""Types of expressions, as their texts name them.

Source: doc/langdef.md (Values, Gradual Type Checking); cel-go common/types/types.go.
"""

from dataclasses import dataclass
from typing import Final

DYN_KIND, ERROR_KIND, PARAM_KIND = "dyn", "!error!", "param"
LIST_KIND, MAP_KIND, TYPE_KIND = "list", "map", "type"
STRUCT_KIND, OPAQUE_KIND, NULL_KIND = "struct", "opaque", "null"
TIMESTAMP_KIND, DURATION_KIND = "timestamp", "duration"


@dataclass(frozen=True, slots=True)
class Type:
    """`kind` says how it is treated, `name` what it is called."""

    kind: str
    name: str
    params: tuple["Type", ...] = ()

    def __str__(self) -> str:
        if not self.params:
            return self.name
        return f"{self.name}({', '.join(str(param) for param in self.params)})"

    @property
    def is_dyn(self) -> bool:
        return self.kind == DYN_KIND

    @property
    def is_optional(self) -> bool:
        return self.kind == OPAQUE_KIND and self.name == "optional_type"


def _plain(name: str) -> Type:
    return Type(name, name)


BOOL: Final = _plain("bool")
INT: Final = _plain("int")
UINT: Final = _plain("uint")
DOUBLE: Final = _plain("double")
STRING: Final = _plain("string")
BYTES: Final = _plain("bytes")
NULL: Final = _plain(NULL_KIND)
TIMESTAMP: Final = _plain(TIMESTAMP_KIND)
DURATION: Final = _plain(DURATION_KIND)
DYN: Final = _plain(DYN_KIND)
ANY: Final = Type(DYN_KIND, "any")  # As dyn, but told apart.
ERROR: Final = _plain(ERROR_KIND)
TYPE: Final = _plain(TYPE_KIND)


def list_of(element: Type) -> Type:
    return Type(LIST_KIND, LIST_KIND, (element,))


def map_of(key: Type, value: Type) -> Type:
    return Type(MAP_KIND, MAP_KIND, (key, value))


def optional_of(value: Type) -> Type:
    return Type(OPAQUE_KIND, "optional_type", (value,))


def type_of(inner: Type) -> Type:
    return Type(TYPE_KIND, TYPE_KIND, (inner,))


def struct(name: str) -> Type:
    return Type(STRUCT_KIND, name)


def opaque(name: str) -> Type:
    return Type(OPAQUE_KIND, name)


def param(name: str) -> Type:
    return Type(PARAM_KIND, name)


def unwrapped(one: Type) -> tuple[Type, bool]:
    """What an optional holds, and whether it is one."""
    return (one.params[0], True) if one.is_optional else (one, False)


_NAMED: Final = {
    one.name: one
    for one in (BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, TIMESTAMP, DURATION, DYN)
} | {TYPE_KIND: TYPE}
# Types that expressions may name, by what `type()` of their values is called.
NAMES: Final = {
    "bool": BOOL,
    "bytes": BYTES,
    "double": DOUBLE,
    "int": INT,
    "list": list_of(DYN),
    "map": map_of(DYN, DYN),
    "null_type": NULL,
    "string": STRING,
    "type": TYPE,
    "uint": UINT,
    "google.protobuf.Timestamp": TIMESTAMP,
    "google.protobuf.Duration": DURATION,
    "optional_type": optional_of(DYN),
}


def parsed(text: str) -> Type:
    """A type as tables write it: `map(string, A)`. Capital letters alone are parameters."""
    text = text.strip()
    name, bracket, inner = text.partition("(")
    if bracket:
        params = tuple(parsed(one) for one in _split(inner[:-1]))
        if name in (LIST_KIND, MAP_KIND, TYPE_KIND):
            return Type(name, name, params)
        return Type(OPAQUE_KIND, name, params)
    if name in _NAMED:
        return _NAMED[name]
    if len(name) == 1:
        return param(name)
    return opaque(name) if name.startswith("net.") else struct(name)


def _split(text: str) -> list[str]:
    """At the commas that are in no brackets."""
    parts, depth, begin = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and not depth:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]] if text.strip() else []


split_types: Final = _split
