"""Values of custom resources as expressions see them, by the schema.

JSON has no times, bytes or sets; the schema says where they are. Where it speaks of none of them,
the data is used as it is. Upstream: apiserver/pkg/cel/common/values.go.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from tiphys.cel.errors import EvaluationError
from tiphys.cel.library.times import parsed_duration, parsed_timestamp
from tiphys.cel.schema_types import Schema
from tiphys.cel.values import SECOND_NS, Duration, KeyedList, SetList, Timestamp

Convert = Callable[[Any], Any]
_DATE_CHARS: Final = 10


def converter(schema: Schema) -> Convert | None:
    """None where the data is good as it is."""
    if schema.get("x-kubernetes-int-or-string"):
        return None
    match schema.get("type"):
        case "object":
            return _object(schema)
        case "array":
            return _array(schema)
        case "number":
            return _number
        case "string":
            return _STRINGS.get(schema.get("format") or "")
        case _:
            return None


def _object(schema: Schema) -> Convert | None:
    others = schema.get("additionalProperties")
    if isinstance(others, Mapping):
        inner = converter(others)
        return _values(inner) if inner is not None else None
    properties = schema.get("properties") or {}
    inner_by_name = {
        name: inner for name, one in properties.items() if (inner := converter(one)) is not None
    }
    may_be_null = any(one.get("nullable") for one in properties.values())
    return _fields(inner_by_name) if inner_by_name or may_be_null else None


def _values(inner: Convert) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: None if one is None else inner(one) for key, one in value.items()}

    return convert


def _fields(inner: Mapping[str, Convert]) -> Convert:
    """A field that is null is as if it were not there."""

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            key: inner[key](one) if key in inner else one
            for key, one in value.items()
            if one is not None
        }

    return convert


def _array(schema: Schema) -> Convert | None:
    items = schema.get("items")
    inner = converter(items) if isinstance(items, Mapping) else None
    kind = schema.get("x-kubernetes-list-type")
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    if inner is None and kind not in ("set", "map"):
        return None

    def convert(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        made = value if inner is None else [None if one is None else inner(one) for one in value]
        if kind == "set":
            return SetList(made)
        return KeyedList(made, keys) if kind == "map" else made

    return convert


def _number(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _date_time(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.upper() if len(value) < 64 else value
    try:
        return parsed_timestamp(text)
    except EvaluationError:
        return _loose_time(text)


def _loose_time(text: str) -> Any:
    """Forms that the schema's format lets pass beside RFC 3339."""
    return parsed_timestamp(f"{text.replace(' ', 'T')}Z" if text[-1:].isdigit() else text)


def _date(value: Any) -> Any:
    if isinstance(value, str) and len(value) == _DATE_CHARS:
        return Timestamp(parsed_timestamp(f"{value}T00:00:00Z").ns)
    return value


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parsed_duration(value)
    except EvaluationError:
        return _worded(value)


_UNITS_NS: Final = {
    "second": SECOND_NS,
    "minute": 60 * SECOND_NS,
    "hour": 3600 * SECOND_NS,
    "day": 86400 * SECOND_NS,
    "week": 7 * 86400 * SECOND_NS,
}


def _worded(text: str) -> Duration:
    """`3 days`, which the schema's format lets pass. Raises EvaluationError."""
    count, _, unit = text.partition(" ")
    for name, ns in _UNITS_NS.items():
        if count.isdigit() and unit and name.startswith(unit.rstrip("s")):
            return Duration(int(count) * ns)
    raise EvaluationError("type conversion error from 'string' to 'google.protobuf.Duration'")


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise EvaluationError("invalid base64") from None


_STRINGS: Final[dict[str, Convert]] = {
    "date-time": _date_time,
    "date": _date,
    "duration": _duration,
    "byte": _bytes,
}
