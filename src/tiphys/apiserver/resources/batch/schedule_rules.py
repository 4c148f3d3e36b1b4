"""Schedules and time zones of cron jobs, with the texts of upstream's parser.

Upstream: pkg/apis/batch/validation (validateScheduleFormat, validateTimeZone) and the parser it
uses, robfig/cron v3 (ParseStandard).
"""

import re
from typing import Final, NamedTuple

from tiphys.api.field_errors import FieldError, invalid, required


class _Bounds(NamedTuple):
    low: int
    high: int
    names: tuple[str, ...] = ()


_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Final = (
    _Bounds(0, 59),
    _Bounds(0, 23),
    _Bounds(1, 31),
    _Bounds(1, 12, _MONTHS),
    _Bounds(0, 6, _DAYS),
)
_DESCRIPTORS: Final = frozenset(
    {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
)
_DURATION_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")
_UNITS: Final = frozenset({"ns", "us", "µs", "μs", "ms", "s", "m", "h"})
_ZONE: Final = re.compile(r"^(?:CRON_)?TZ=(\S*) ")
# "." and ".." are no parts.
_ZONE_PART: Final = re.compile(r"(?!-|\.{1,2}$)[A-Za-z.\-_0-9+]{1,14}")


def schedule(value: str, path: str) -> list[FieldError]:
    if not value:
        return [required(path)]
    text = _zone_problem(value) or _problem(_ZONE.sub("", value).strip())
    errors = [invalid(path, value, text)] if text else []
    if "TZ" in value:
        text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.append(invalid(path, value, text))
    return errors


def time_zone(value: str | None, path: str) -> list[FieldError]:
    if value is None:
        return []
    if not value:
        return [invalid(path, value, "timeZone must be nil or non-empty string")]
    unknown = invalid(path, value, f"unknown time zone {value}")
    if not all(map(_ZONE_PART.fullmatch, value.split("/"))):
        return [unknown]
    if value.lower() == "local":
        text = (
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
        error = invalid(path, value, text)
        return [error] if value == "Local" else [error, unknown]
    if _is_known(value) or not _is_known("Europe/London"):  # A machine without zones knows none.
        return []
    return [unknown]


def _is_known(zone: str) -> bool:
    # Imported where it is used: it brings a megabyte that every process would carry.
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _zone_problem(value: str) -> str:
    """What is wrong with the time zone that a schedule begins with, or nothing."""
    found = _ZONE.match(value)
    if found is None or found[1] in {"", "Local", "UTC"} or _is_known(found[1]):
        return ""
    return f"provided bad location {found[1]}: unknown time zone {found[1]}"


def _problem(value: str) -> str:
    """What is wrong with a schedule, or nothing."""
    if value.startswith("@every "):
        return _duration_problem(value, value.removeprefix("@every "))
    if value.startswith("@"):
        return "" if value in _DESCRIPTORS else f"unrecognized descriptor: {value}"
    fields = value.split()
    if len(fields) != len(_FIELDS):
        found = f"found {len(fields)}: [{' '.join(fields)}]"
        return f"expected exactly {len(_FIELDS)} fields, {found}"
    for field, bounds in zip(fields, _FIELDS, strict=True):
        for part in filter(None, field.split(",")):
            try:
                text = _range_problem(part, bounds)
            except ValueError as error:
                text = str(error)
            if text:
                return text
    return ""


def _duration_problem(value: str, duration: str) -> str:
    parts = _DURATION_PART.findall(duration.lstrip("+-"))
    text = ""
    if duration.lstrip("+-") == "0":
        return ""
    if not parts or "".join(n + u for n, u in parts) != duration.lstrip("+-"):
        text = f'time: invalid duration "{duration}"'
    for _, unit in parts:
        if not text and not unit:
            text = f'time: missing unit in duration "{duration}"'
        elif not text and unit not in _UNITS:
            text = f'time: unknown unit "{unit}" in duration "{duration}"'
    return f"failed to parse duration {value}: {text}" if text else ""


def _range_problem(part: str, bounds: _Bounds) -> str:
    """Raises ValueError for what is no number."""
    span, *steps = part.split("/")
    ends = span.split("-")
    if ends[0] in {"*", "?"}:
        start, end = bounds.low, bounds.high
    elif len(ends) <= 2:
        start = _number_or_name(ends[0], bounds)
        end = _number_or_name(ends[-1], bounds)
    else:
        return f"too many hyphens: {part}"
    step = 1
    if len(steps) > 1:
        return f"too many slashes: {part}"
    if steps:
        step = _number(steps[0])
        end = bounds.high if len(ends) == 1 else end
    if start < bounds.low:
        return f"beginning of range ({start}) below minimum ({bounds.low}): {part}"
    if end > bounds.high:
        return f"end of range ({end}) above maximum ({bounds.high}): {part}"
    if start > end:
        return f"beginning of range ({start}) beyond end of range ({end}): {part}"
    return "" if step else f"step of range should be a positive number: {part}"


def _number_or_name(text: str, bounds: _Bounds) -> int:
    if text.lower() in bounds.names:
        return bounds.names.index(text.lower()) + bounds.low
    return _number(text)


def _number(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        reason = f'strconv.Atoi: parsing "{text}": invalid syntax'
        raise ValueError(f"failed to parse int from {text}: {reason}")
    if int(text) < 0:
        raise ValueError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)
