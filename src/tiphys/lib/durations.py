"""Durations as people and Go write them: 90, 90s, 1.5s, 2m, 1h30m."""

import re
from typing import Final

_FORM: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")


def seconds(text: str) -> float:
    """A number alone is seconds. Raises ValueError."""
    found = _FORM.fullmatch(text)
    if found is None or not any(found.groups()):
        raise ValueError(f'"{text}" is no duration: write it as 90s, 2m or 1h30m')
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + rest
