"""What values are in Python, and when two of them are equal.

    bool, string, bytes, null   bool, str, bytes, None
    int, uint, double           int, Uint, float
    list, map, struct           list, dict, dict
    timestamp, duration         Timestamp, Duration
    type, optional              types.Type, Optional
    types of Kubernetes         classes of `library`, each with a `cel_type`

JSON needs no conversion. Source: doc/langdef.md (Values, Equality).
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tiphys.cel import types
from tiphys.cel.types import Type

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1
SECOND_NS: Final = 1_000_000_000
# 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999999Z, in nanoseconds since 1970.
TIMESTAMP_MIN: Final = -62135596800 * SECOND_NS
TIMESTAMP_MAX: Final = 253402300800 * SECOND_NS - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Uint(int):
    """An unsigned integer."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    ns: int


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    ns: int  # Since 1970, UTC.

    def at(self) -> datetime:
        """To the microsecond."""
        return _EPOCH + timedelta(microseconds=self.ns // 1000)


class Optional:
    """`optional_type`: a value or none."""

    __slots__ = ("has_value", "value")

    def __init__(self, value: Any = None, *, has_value: bool = True) -> None:
        self.value = value
        self.has_value = has_value


NONE: Final = Optional(has_value=False)


class SetList(list[Any]):
    """A list whose order says nothing: x-kubernetes-list-type: set."""

    __slots__ = ()


class KeyedList(list[Any]):
    """A list whose items have names: x-kubernetes-list-type: map."""

    __slots__ = ("keys",)

    def __init__(self, items: list[Any], keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys

    def name_of(self, item: Any) -> tuple[Any, ...]:
        return tuple(item.get(key) for key in self.keys) if isinstance(item, dict) else ()


class StructValue(dict[str, Any]):
    """An object that an expression made."""

    __slots__ = ("type_name",)

    def __init__(self, type_name: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.type_name = type_name


_TYPES: Final[dict[type, Type]] = {
    bool: types.BOOL,
    int: types.INT,
    Uint: types.UINT,
    float: types.DOUBLE,
    str: types.STRING,
    bytes: types.BYTES,
    type(None): types.NULL,
    list: types.NAMES["list"],
    dict: types.NAMES["map"],
    Timestamp: types.TIMESTAMP,
    Duration: types.DURATION,
    Optional: types.NAMES["optional_type"],
    Type: types.TYPE,
}


def type_of(value: Any) -> Type:
    """The type at run time: of lists, maps and optionals without their parameters."""
    found = _TYPES.get(type(value))
    if found is not None:
        return found
    if isinstance(value, StructValue):
        return types.struct(value.type_name)
    if isinstance(value, list):
        return types.NAMES["list"]
    if isinstance(value, dict):
        return types.NAMES["map"]
    own: Type = value.cel_type
    return own


_TYPE_NAMES: Final = {
    types.NULL: "null_type",
    types.TIMESTAMP: "google.protobuf.Timestamp",
    types.DURATION: "google.protobuf.Duration",
}


def type_name(one: Type) -> str:
    """As conversions and texts name it."""
    return _TYPE_NAMES.get(one, one.name)


_NUMBERS: Final = (int, Uint, float)


def equal(one: Any, other: Any) -> bool:
    """Numbers are equal by their value; otherwise values of different types are not equal."""
    kind, other_kind = type(one), type(other)
    if kind is other_kind and kind in (str, int, bool):
        return bool(one == other)
    if kind in _NUMBERS and other_kind in _NUMBERS:
        return bool(one == other)
    if isinstance(one, list):
        return isinstance(other, list) and _equal_lists(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and _equal_maps(one, other)
    if kind is Optional and other_kind is Optional:
        if not one.has_value or not other.has_value:
            return bool(one.has_value == other.has_value)
        return equal(one.value, other.value)
    if kind is Type and other_kind is Type:
        return type_name(one) == type_name(other)
    return kind is other_kind and bool(one == other)


def _equal_lists(one: list[Any], other: list[Any]) -> bool:
    if len(one) != len(other):
        return False
    if isinstance(one, SetList):
        return all(contains(other, item) for item in one)
    if isinstance(one, KeyedList):
        named = {one.name_of(item): item for item in other}
        names = [one.name_of(item) for item in one]
        return all(
            name in named and equal(item, named[name])
            for name, item in zip(names, one, strict=True)
        )
    return all(equal(a, b) for a, b in zip(one, other, strict=True))


def _equal_maps(one: dict[Any, Any], other: dict[Any, Any]) -> bool:
    return len(one) == len(other) and all(
        key in other and equal(value, other[key]) for key, value in one.items()
    )


def contains(values: list[Any], wanted: Any) -> bool:
    if type(wanted) is str:  # Python compares these as we do, and fast.
        return wanted in values
    return any(equal(value, wanted) for value in values)


def is_nan(value: Any) -> bool:
    return type(value) is float and math.isnan(value)


def size(value: Any) -> int:
    """What costs are counted by: characters, octets, items; 1 for everything else."""
    if isinstance(value, (str, bytes, list, dict)):
        return len(value)
    if type(value) is Optional and value.has_value:
        return size(value.value)
    own = getattr(value, "cel_size", None)
    return own() if own is not None else 1


def is_constant_key(value: Any) -> bool:
    """Whether a value may be a map's key."""
    return isinstance(value, (str, int, float))
