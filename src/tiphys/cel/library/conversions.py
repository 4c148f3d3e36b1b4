"""Conversions between types.

Source: doc/langdef.md (Type Conversions); cel-go common/types (ConvertToType of each type).
"""

import math
import re
from decimal import Decimal
from typing import Any, Final

from tiphys.cel import types
from tiphys.cel.declarations import Implementation, Library
from tiphys.cel.errors import EvaluationError
from tiphys.cel.library.times import (
    parsed_duration,
    parsed_timestamp,
    shown_duration,
    shown_timestamp,
)
from tiphys.cel.values import (
    INT_MAX,
    INT_MIN,
    SECOND_NS,
    TIMESTAMP_MAX,
    TIMESTAMP_MIN,
    UINT_MAX,
    Duration,
    Timestamp,
    Uint,
)

_TABLE: Final = """
bool    bool_to_bool      (bool) -> bool
bool    string_to_bool    (string) -> bool
bytes   bytes_to_bytes    (bytes) -> bytes
bytes   string_to_bytes   (string) -> bytes
double  double_to_double  (double) -> double
double  int64_to_double   (int) -> double
double  string_to_double  (string) -> double
double  uint64_to_double  (uint) -> double
duration  duration_to_duration  (duration) -> duration
duration  string_to_duration    (string) -> duration
dyn     to_dyn            (A) -> dyn
int     int64_to_int64    (int) -> int
int     double_to_int64   (double) -> int
int     duration_to_int64 (duration) -> int
int     string_to_int64   (string) -> int
int     timestamp_to_int64  (timestamp) -> int
int     uint64_to_int64   (uint) -> int
string  string_to_string  (string) -> string
string  bool_to_string    (bool) -> string
string  bytes_to_string   (bytes) -> string
string  double_to_string  (double) -> string
string  duration_to_string  (duration) -> string
string  int64_to_string   (int) -> string
string  timestamp_to_string (timestamp) -> string
string  uint64_to_string  (uint) -> string
timestamp  timestamp_to_timestamp  (timestamp) -> timestamp
timestamp  int64_to_timestamp      (int) -> timestamp
timestamp  string_to_timestamp     (string) -> timestamp
uint    uint64_to_uint64  (uint) -> uint
uint    double_to_uint64  (double) -> uint
uint    int64_to_uint64   (int) -> uint
uint    string_to_uint64  (string) -> uint
"""
_BOOLS: Final = {
    **dict.fromkeys(("1", "t", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "false", "FALSE", "False"), False),
}
_INT: Final = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_UINT: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_FLOAT: Final = re.compile(
    r"[+-]?(?:inf|infinity|nan|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|0[xX][0-9a-fA-F.]+[pP][+-]?\d+)",
    re.ASCII | re.IGNORECASE,
)
_FLOAT_CHARS_MAX: Final = 1024
_PLAIN_EXPONENT_MAX: Final = (
    6  # Go strconv/ftoa.go, for the shortest digits: an exponent from here on.
)


def _same(value: Any) -> Any:
    return value


def _bool(text: str) -> bool:
    if text in _BOOLS:
        return _BOOLS[text]
    raise EvaluationError("type conversion error from 'string' to 'bool'")


def _float(text: str) -> float:
    if len(text) <= _FLOAT_CHARS_MAX and _FLOAT.fullmatch(text):
        value = float.fromhex(text) if "x" in text.lower() else float(text)
        if not math.isinf(value) or "inf" in text.lower():
            return value
    raise EvaluationError("type conversion error from 'string' to 'double'")


def _int(text: str) -> int:
    if _INT.fullmatch(text) and INT_MIN <= int(text) <= INT_MAX:
        return int(text)
    raise EvaluationError("type conversion error from 'string' to 'int'")


def _uint(text: str) -> Uint:
    if _UINT.fullmatch(text) and int(text) <= UINT_MAX:
        return Uint(text)
    raise EvaluationError("type conversion error from 'string' to 'uint'")


def _float_to_int(value: float) -> int:
    if math.isfinite(value) and INT_MIN < value < INT_MAX:
        return int(value)
    raise EvaluationError("integer overflow")


def _float_to_uint(value: float) -> Uint:
    if math.isfinite(value) and 0 <= value < UINT_MAX:
        return Uint(int(value))
    raise EvaluationError("unsigned integer overflow")


def _uint_to_int(value: int) -> int:
    if value <= INT_MAX:
        return int(value)
    raise EvaluationError("integer overflow")


def _int_to_uint(value: int) -> Uint:
    if value >= 0:
        return Uint(value)
    raise EvaluationError("unsigned integer overflow")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None


def shown_double(value: float) -> str:
    """The shortest text that means this number, with an exponent where Go's %g has one."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, shift = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(str(digit) for digit in digits)
    exponent = len(text) - 1 + int(shift) if value else 0
    minus = "-" if sign else ""
    if not -4 <= exponent < _PLAIN_EXPONENT_MAX:
        fraction = f".{text[1:]}" if len(text) > 1 else ""
        return f"{minus}{text[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{minus}0.{'0' * (-exponent - 1)}{text}"
    whole, fraction = text[: exponent + 1].ljust(exponent + 1, "0"), text[exponent + 1 :]
    return f"{minus}{whole}.{fraction}" if fraction else f"{minus}{whole}"


def _int_to_timestamp(seconds: int) -> Timestamp:
    ns = seconds * SECOND_NS
    if TIMESTAMP_MIN <= ns <= TIMESTAMP_MAX:
        return Timestamp(ns)
    raise EvaluationError("timestamp overflow")


def _duration_to_int(value: Duration) -> int:
    return value.ns


_IMPLEMENTATIONS: Final[dict[str, Implementation]] = {
    **dict.fromkeys(
        (
            *("bool_to_bool", "bytes_to_bytes", "double_to_double", "duration_to_duration"),
            *("to_dyn", "int64_to_int64", "string_to_string", "timestamp_to_timestamp"),
            "uint64_to_uint64",
        ),
        _same,
    ),
    "string_to_bool": _bool,
    "string_to_bytes": lambda text: text.encode("utf-8", "surrogatepass"),
    "int64_to_double": float,
    "string_to_double": _float,
    "uint64_to_double": float,
    "string_to_duration": parsed_duration,
    "double_to_int64": _float_to_int,
    "duration_to_int64": _duration_to_int,
    "string_to_int64": _int,
    "timestamp_to_int64": lambda value: value.ns // SECOND_NS,
    "uint64_to_int64": _uint_to_int,
    "bool_to_string": lambda value: "true" if value else "false",
    "bytes_to_string": _text,
    "double_to_string": shown_double,
    "duration_to_string": shown_duration,
    "int64_to_string": str,
    "timestamp_to_string": shown_timestamp,
    "uint64_to_string": lambda value: str(int(value)),
    "int64_to_timestamp": _int_to_timestamp,
    "string_to_timestamp": parsed_timestamp,
    "double_to_uint64": _float_to_uint,
    "int64_to_uint64": _int_to_uint,
    "string_to_uint64": _uint,
}

LIBRARY: Final = Library(_TABLE, _IMPLEMENTATIONS, {"dyn": types.DYN})
