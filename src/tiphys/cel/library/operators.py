"""Operators, sizes, and what every language has.

Logical operators, the conditional and loops are part of the evaluation itself (`program`).
Source: doc/langdef.md (List of Standard Definitions).
"""

import math
import operator
from collections.abc import Callable
from typing import Any, Final

from tiphys.cel import patterns
from tiphys.cel.declarations import Implementation, Library
from tiphys.cel.errors import EvaluationError
from tiphys.cel.values import (
    INT_MAX,
    INT_MIN,
    TIMESTAMP_MAX,
    TIMESTAMP_MIN,
    UINT_MAX,
    Duration,
    Timestamp,
    Uint,
    contains,
    equal,
    type_of,
)

_ORDERED: Final = (
    ("_<_", "less"),
    ("_<=_", "less_equals"),
    ("_>_", "greater"),
    ("_>=_", "greater_equals"),
)
_KINDS: Final = (
    ("bool", "bool", "bool"), ("int64", "int", "int"), ("int64_double", "int", "double"),
    ("int64_uint64", "int", "uint"), ("uint64", "uint", "uint"),
    ("uint64_double", "uint", "double"),
    ("uint64_int64", "uint", "int"), ("double", "double", "double"),
    ("double_int64", "double", "int"), ("double_uint64", "double", "uint"),
    ("string", "string", "string"), ("bytes", "bytes", "bytes"),
    ("timestamp", "timestamp", "timestamp"), ("duration", "duration", "duration"),
)  # fmt: skip
_COMPARISONS: Final = "\n".join(
    f"{sign} {word}_{name} ({left}, {right}) -> bool"
    for sign, word in _ORDERED
    for name, left, right in _KINDS
)

_TABLE: Final = f"""
_?_:_  conditional  (bool, A, A) -> A
_&&_   logical_and  (bool, bool) -> bool
_||_   logical_or   (bool, bool) -> bool
!_     logical_not  (bool) -> bool
@not_strictly_false  not_strictly_false  (bool) -> bool
_==_   equals       (A, A) -> bool
_!=_   not_equals   (A, A) -> bool
_+_    add_bytes    (bytes, bytes) -> bytes
_+_    add_double   (double, double) -> double
_+_    add_duration_duration   (duration, duration) -> duration
_+_    add_duration_timestamp  (duration, timestamp) -> timestamp
_+_    add_timestamp_duration  (timestamp, duration) -> timestamp
_+_    add_int64    (int, int) -> int
_+_    add_list     (list(A), list(A)) -> list(A)
_+_    add_string   (string, string) -> string
_+_    add_uint64   (uint, uint) -> uint
_/_    divide_double  (double, double) -> double
_/_    divide_int64   (int, int) -> int
_/_    divide_uint64  (uint, uint) -> uint
_%_    modulo_int64   (int, int) -> int
_%_    modulo_uint64  (uint, uint) -> uint
_*_    multiply_double  (double, double) -> double
_*_    multiply_int64   (int, int) -> int
_*_    multiply_uint64  (uint, uint) -> uint
-_     negate_double  (double) -> double
-_     negate_int64   (int) -> int
_-_    subtract_double  (double, double) -> double
_-_    subtract_duration_duration    (duration, duration) -> duration
_-_    subtract_int64   (int, int) -> int
_-_    subtract_timestamp_duration   (timestamp, duration) -> timestamp
_-_    subtract_timestamp_timestamp  (timestamp, timestamp) -> duration
_-_    subtract_uint64  (uint, uint) -> uint
{_COMPARISONS}
_[_]   index_list  (list(A), int) -> A
_[_]   index_map   (map(A, B), A) -> B
@in    in_list     (A, list(A)) -> bool
@in    in_map      (A, map(A, B)) -> bool
size   size_bytes  (bytes) -> int
size   bytes_size  bytes.() -> int
size   size_list   (list(A)) -> int
size   list_size   list(A).() -> int
size   size_map    (map(A, B)) -> int
size   map_size    map(A, B).() -> int
size   size_string (string) -> int
size   string_size string.() -> int
type   type        (A) -> type(A)
contains    contains_string     string.(string) -> bool
endsWith    ends_with_string    string.(string) -> bool
startsWith  starts_with_string  string.(string) -> bool
matches     matches             (string, string) -> bool
matches     matches_string      string.(string) -> bool
"""


def int_in_range(value: int) -> int:
    """Raises EvaluationError."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise EvaluationError("integer overflow")


def uint_in_range(value: int) -> Uint:
    """Raises EvaluationError."""
    if 0 <= value <= UINT_MAX:
        return Uint(value)
    raise EvaluationError("unsigned integer overflow")


def _ints(work: Callable[[int, int], int]) -> Implementation:
    return lambda one, other: int_in_range(work(one, other))


def _uints(work: Callable[[int, int], int]) -> Implementation:
    return lambda one, other: uint_in_range(work(int(one), int(other)))


def _quotient(one: int, other: int) -> int:
    """Rounded towards zero. Raises EvaluationError."""
    if not other:
        raise EvaluationError("division by zero")
    found = abs(one) // abs(other)
    return found if (one < 0) == (other < 0) else -found


def _remainder(one: int, other: int) -> int:
    """With the sign of the dividend. Raises EvaluationError."""
    if not other:
        raise EvaluationError("modulus by zero")
    found = abs(one) % abs(other)
    return -found if one < 0 else found


def _divided(one: float, other: float) -> float:
    if other:
        return one / other
    if not one or math.isnan(one):
        return math.nan
    return math.copysign(math.inf, one) * math.copysign(1.0, other)


def _product(one: float, other: float) -> float:
    return one * other


def _durations(work: Callable[[int, int], int]) -> Implementation:
    def calculate(one: Duration, other: Duration) -> Duration:
        return duration_in_range(work(one.ns, other.ns))

    return calculate


def duration_in_range(ns: int) -> Duration:
    """Raises EvaluationError."""
    if INT_MIN <= ns <= INT_MAX:
        return Duration(ns)
    raise EvaluationError("duration overflow")


def timestamp_in_range(ns: int) -> Timestamp:
    """Raises EvaluationError."""
    if TIMESTAMP_MIN <= ns <= TIMESTAMP_MAX:
        return Timestamp(ns)
    raise EvaluationError("timestamp overflow")


def index_list(values: list[Any], index: float) -> Any:
    """Numbers of other types that are whole may be indices too. Raises EvaluationError."""
    if type(index) is not int:
        if isinstance(index, (bool, str)) or not float(index).is_integer():
            raise EvaluationError("no such overload")
        index = int(index)
    if 0 <= index < len(values):
        return values[index]
    raise EvaluationError(f"index out of bounds: {index}")


def index_map(values: dict[Any, Any], key: Any) -> Any:
    """Raises EvaluationError."""
    try:
        return values[key]
    except (KeyError, TypeError):
        raise EvaluationError(f"no such key: {shown_key(key)}") from None


def shown_key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)


def _in_map(key: Any, values: dict[Any, Any]) -> bool:
    return isinstance(key, (str, int, float)) and key in values


def _comparison(work: Callable[[Any, Any], bool], name: str) -> Implementation:
    if "double" not in name:
        return work

    def compare(one: Any, other: Any) -> bool:
        if one != one or other != other:
            raise EvaluationError("NaN values cannot be ordered")
        return work(one, other)

    return compare


_WORK: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "less": operator.lt,
    "less_equals": operator.le,
    "greater": operator.gt,
    "greater_equals": operator.ge,
}


def _starts(text: str, prefix: str) -> bool:
    return text.startswith(prefix)


def _ends(text: str, suffix: str) -> bool:
    return text.endswith(suffix)


def _contains(text: str, part: str) -> bool:
    return part in text


def _matches(text: str, pattern: str) -> bool:
    try:
        return patterns.compiled(pattern).is_found(text)
    except patterns.BadPattern as error:
        raise EvaluationError(str(error)) from None


_IMPLEMENTATIONS: Final[dict[str, Implementation]] = {
    "logical_not": operator.not_,
    "equals": equal,
    "not_equals": lambda one, other: not equal(one, other),
    "add_bytes": operator.add,
    "add_double": operator.add,
    "add_duration_duration": _durations(operator.add),
    "add_duration_timestamp": lambda one, other: timestamp_in_range(one.ns + other.ns),
    "add_timestamp_duration": lambda one, other: timestamp_in_range(one.ns + other.ns),
    "add_int64": _ints(operator.add),
    "add_list": lambda one, other: [*one, *other],
    "add_string": operator.add,
    "add_uint64": _uints(operator.add),
    "divide_double": _divided,
    "divide_int64": _ints(_quotient),
    "divide_uint64": _uints(_quotient),
    "modulo_int64": _ints(_remainder),
    "modulo_uint64": _uints(_remainder),
    "multiply_double": _product,
    "multiply_int64": _ints(operator.mul),
    "multiply_uint64": _uints(operator.mul),
    "negate_double": operator.neg,
    "negate_int64": lambda one: int_in_range(-one),
    "subtract_double": operator.sub,
    "subtract_duration_duration": _durations(operator.sub),
    "subtract_int64": _ints(operator.sub),
    "subtract_timestamp_duration": lambda one, other: timestamp_in_range(one.ns - other.ns),
    "subtract_timestamp_timestamp": lambda one, other: duration_in_range(one.ns - other.ns),
    "subtract_uint64": _uints(operator.sub),
    "index_list": index_list,
    "index_map": index_map,
    "in_list": lambda one, others: contains(others, one),
    "in_map": _in_map,
    **dict.fromkeys(
        ("size_bytes", "bytes_size", "size_list", "list_size", "size_map", "map_size"), len
    ),
    "size_string": len,
    "string_size": len,
    "type": type_of,
    "contains_string": _contains,
    "ends_with_string": _ends,
    "starts_with_string": _starts,
    "matches": _matches,
    "matches_string": _matches,
    **{
        f"{word}_{name}": _comparison(_WORK[word], name)
        for _, word in _ORDERED
        for name, _, _ in _KINDS
    },
}

LIBRARY: Final = Library(_TABLE, _IMPLEMENTATIONS)
