"""Times as Go reads and writes them: RFC 3339 with upstream's words for what does not fit.

Upstream: apimachinery pkg/apis/meta/v1/time.go, micro_time.go; Go's package time.
"""

import re
from datetime import UTC, datetime
from typing import Final

_SECONDS: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_MICROS: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_ZERO: Final = "0001-01-01T00:00:00Z"
LAYOUT: Final = "2006-01-02T15:04:05Z07:00"
MICRO_LAYOUT: Final = "2006-01-02T15:04:05.000000Z07:00"
_ELEMENTS: Final = (
    ("2006", r"\d{4}"), ("-", "-"), ("01", r"\d\d"), ("-", "-"), ("02", r"\d\d"), ("T", "T"),
    ("15", r"\d\d"), (":", ":"), ("04", r"\d\d"), (":", ":"), ("05", r"\d\d"),
)  # fmt: skip
_ZONE: Final = re.compile(r"Z|[+-]\d\d:\d\d")


class TimeError(ValueError):
    """A text that is not a time; the message is Go's."""


def normal_time(text: str) -> str | None:
    """metav1.Time as upstream writes it: UTC, whole seconds; None for Go's zero time."""
    if _SECONDS.fullmatch(text) is None:
        text = _parse(text, LAYOUT, fraction="").strftime("%Y-%m-%dT%H:%M:%SZ")
    else:
        _checked(text, text)
    return None if text == _ZERO else text.rjust(20, "0")


def normal_micro_time(text: str) -> str | None:
    """metav1.MicroTime as upstream writes it: UTC, six digits; None for Go's zero time."""
    if _MICROS.fullmatch(text) is None:
        text = _parse(text, MICRO_LAYOUT, fraction=".000000").strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return None if text.startswith(_ZERO[:-1]) else text.rjust(27, "0")


def _parse(text: str, layout: str, *, fraction: str) -> datetime:
    rest = text
    for element, pattern in _ELEMENTS:
        match = re.match(pattern, rest, re.ASCII)
        if match is None:
            raise TimeError(_cannot(text, layout, rest, element))
        rest = rest[match.end() :]
    digits = re.match(r"[.,](\d+)", rest)
    if fraction and (digits is None or len(digits[1]) < 6):
        raise TimeError(_cannot(text, layout, rest, fraction))
    if digits is not None:
        rest = rest[digits.end() :]
    zone = _ZONE.match(rest)
    if zone is None:
        raise TimeError(_cannot(text, layout, rest, "Z07:00"))
    if rest[zone.end() :]:
        raise TimeError(f'parsing time "{text}": extra text: "{rest[zone.end() :]}"')
    micros = (digits[1] if digits else "")[:6].ljust(6, "0")
    offset = "+00:00" if zone[0] == "Z" else zone[0]
    return _checked(text, f"{text[:19]}.{micros}{offset}").astimezone(UTC)


def _cannot(text: str, layout: str, rest: str, element: str) -> str:
    return f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{element}"'


def _checked(text: str, iso: str) -> datetime:
    month, day, hour, minute, second = (int(text[i : i + 2]) for i in (5, 8, 11, 14, 17))
    for name, value, low, high in (
        ("month", month, 1, 12),
        ("hour", hour, 0, 23),
        ("minute", minute, 0, 59),
        ("second", second, 0, 59),
        ("day", day, 1, 31),
    ):
        if not low <= value <= high:
            raise TimeError(f'parsing time "{text}": {name} out of range')
    try:
        return datetime.fromisoformat(iso.replace("Z", "+00:00"))
    except ValueError:
        raise TimeError(f'parsing time "{text}": day out of range') from None
