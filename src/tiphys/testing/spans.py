"""Spans of time as people write them: "90s", "1h30m", "2d", or seconds."""

import re
from datetime import timedelta
from typing import Final, TypeAlias

Span: TypeAlias = str | float | timedelta
"""Seconds, a timedelta, or text like `1h30m`."""

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def seconds_of(span: Span) -> float:
    """Raises ValueError for text that is no span."""
    if isinstance(span, timedelta):
        return span.total_seconds()
    if not isinstance(span, str):
        return float(span)
    text = span.strip()
    parts = _PART.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise ValueError(f'"{span}" is no span of time: write 90s, 5m, 1h30m or 2d')
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))
