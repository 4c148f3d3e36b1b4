"""When two values say the same. Upstream: apimachinery pkg/api/equality (Semantic.DeepEqual)."""

from typing import Any


def semantically_equal(one: Any, other: Any) -> bool:
    """A list that is empty says as much as none."""
    return bool(_without_empty_lists(one) == _without_empty_lists(other))


def _without_empty_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_empty_lists(v) for k, v in value.items() if v != [] and v is not None}
    if isinstance(value, list):
        return [_without_empty_lists(v) for v in value]
    return value
