"""Filters of CRI's lists. Pure."""

from collections.abc import Mapping


def labels_match(selector: Mapping[str, str] | None, labels: Mapping[str, str] | None) -> bool:
    """Whether labels have every pair of selector."""
    held = labels or {}
    return all(held.get(key) == value for key, value in (selector or {}).items())
