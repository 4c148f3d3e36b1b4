"""Timestamps and durations: their texts and their parts.

Source: doc/langdef.md (Abstract Types); Go's time.ParseDuration, Duration.String; RFC 3339.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from tiphys.cel.declarations import Implementation, Library
from tiphys.cel.errors import EvaluationError
from tiphys.cel.values import (
    INT_MAX,
    INT_MIN,
    SECOND_NS,
    TIMESTAMP_MAX,
    TIMESTAMP_MIN,
    Duration,
    Timestamp,
)

_PARTS: Final = (
    ("getFullYear", "year"), ("getMonth", "month"), ("getDayOfYear", "day_of_year"),
    ("getDayOfMonth", "day_of_month"), ("getDate", "day_of_month_1_based"),
    ("getDayOfWeek", "day_of_week"), ("getHours", "hours"), ("getMinutes", "minutes"),
    ("getSeconds", "seconds"), ("getMilliseconds", "milliseconds"),
)  # fmt: skip
_TABLE: Final = "\n".join(
    [f"{name} timestamp_to_{part} timestamp.() -> int" for name, part in _PARTS]
    + [f"{name} timestamp_to_{part}_with_tz timestamp.(string) -> int" for name, part in _PARTS]
    + [f"{name} duration_to_{part} duration.() -> int" for name, part in _PARTS[6:]]
)
_UNITS_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
}
_DURATION: Final = re.compile(
    r"[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII
)
_DURATION_PART: Final = re.compile(r"(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_DURATION_CHARS_MAX: Final = 200
_TIMESTAMP: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII
)
_OFFSET: Final = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)


def parsed_duration(text: str) -> Duration:
    """Raises EvaluationError."""
    if len(text) > _DURATION_CHARS_MAX or not _DURATION.fullmatch(text):
        raise EvaluationError("type conversion error from 'string' to 'google.protobuf.Duration'")
    ns = 0
    for whole, part, unit in _DURATION_PART.findall(text):
        ns += int(whole or 0) * _UNITS_NS[unit]
        if part:
            ns += int(part) * _UNITS_NS[unit] // 10 ** len(part)
    ns = -ns if text.startswith("-") else ns
    if not INT_MIN <= ns <= INT_MAX:
        raise EvaluationError("type conversion error from 'string' to 'google.protobuf.Duration'")
    return Duration(ns)


def shown_duration(value: Duration) -> str:
    """In seconds, as the proto3 JSON form: `3.5s`."""
    sign, ns = ("-", -value.ns) if value.ns < 0 else ("", value.ns)
    whole, part = divmod(ns, SECOND_NS)
    fraction = f".{part:09d}".rstrip("0") if part else ""
    return f"{sign}{whole}{fraction}s"


def parsed_timestamp(text: str) -> Timestamp:
    """RFC 3339. Raises EvaluationError."""
    found = _TIMESTAMP.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        year, month, day, hour, minute, second = (int(found[i]) for i in range(1, 7))
        zone = UTC if found[8] == "Z" else _fixed(found[8])
        base = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        seconds = _seconds(base)
    except (ValueError, OverflowError):
        raise EvaluationError(
            "type conversion error from 'string' to 'google.protobuf.Timestamp'"
        ) from None
    ns = seconds * SECOND_NS + int((found[7] or "0")[:9].ljust(9, "0"))
    if not TIMESTAMP_MIN <= ns <= TIMESTAMP_MAX:
        raise EvaluationError("timestamp overflow")
    return Timestamp(ns)


def _seconds(when: datetime) -> int:
    """Since 1970, also where UTC would be before the year 1."""
    offset = when.utcoffset() or timedelta()
    naive = when.replace(tzinfo=UTC)
    whole = naive - datetime(1970, 1, 1, tzinfo=UTC)
    return whole.days * 86400 + whole.seconds - int(offset.total_seconds())


def shown_timestamp(value: Timestamp) -> str:
    seconds, ns = divmod(value.ns, SECOND_NS)
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    fraction = f".{ns:09d}".rstrip("0") if ns else ""
    return f"{when.year:04d}-{when:%m-%dT%H:%M:%S}{fraction}Z"


def _fixed(text: str) -> tzinfo:
    """`+01:00`. Raises ValueError."""
    found = _OFFSET.fullmatch(text)
    if found is None:
        raise ValueError(text)
    minutes = int(found[2]) * 60 + int(found[3])
    return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))


def _zone(name: str) -> tzinfo:
    """Raises EvaluationError."""
    try:
        if _OFFSET.fullmatch(name):
            return _fixed(name)
        return UTC if name in ("", "UTC") else ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise EvaluationError(f"unknown time zone {name}") from None


def _day_of_week(when: datetime) -> int:
    return when.isoweekday() % 7


_OF_TIMESTAMP: Final[dict[str, Callable[[datetime], int]]] = {
    "year": lambda when: when.year,
    "month": lambda when: when.month - 1,
    "day_of_year": lambda when: when.timetuple().tm_yday - 1,
    "day_of_month": lambda when: when.day - 1,
    "day_of_month_1_based": lambda when: when.day,
    "day_of_week": _day_of_week,
    "hours": lambda when: when.hour,
    "minutes": lambda when: when.minute,
    "seconds": lambda when: when.second,
    "milliseconds": lambda when: when.microsecond // 1000,
}
_OF_DURATION: Final = {
    "hours": 3600 * SECOND_NS,
    "minutes": 60 * SECOND_NS,
    "seconds": SECOND_NS,
}


def _of_timestamp(read: Callable[[datetime], int]) -> Implementation:
    return lambda value: read(value.at())


def _in_zone(read: Callable[[datetime], int]) -> Implementation:
    def part(value: Timestamp, zone: str) -> int:
        try:
            return read(value.at().astimezone(_zone(zone)))
        except OverflowError:
            raise EvaluationError("timestamp overflow") from None

    return part


def _of_duration(unit_ns: int) -> Implementation:
    def whole(value: Duration) -> int:
        found = abs(value.ns) // unit_ns
        return -found if value.ns < 0 else found

    return whole


def _milliseconds(value: Duration) -> int:
    """Only those beside the whole seconds."""
    found = abs(value.ns) % SECOND_NS // 1_000_000
    return -found if value.ns < 0 else found


LIBRARY: Final = Library(
    _TABLE,
    {
        **{f"timestamp_to_{part}": _of_timestamp(read) for part, read in _OF_TIMESTAMP.items()},
        **{f"timestamp_to_{part}_with_tz": _in_zone(read) for part, read in _OF_TIMESTAMP.items()},
        **{f"duration_to_{part}": _of_duration(ns) for part, ns in _OF_DURATION.items()},
        "duration_to_milliseconds": _milliseconds,
    },
)
