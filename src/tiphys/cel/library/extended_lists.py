"""Lists, version 3. Upstream: cel-go ext/lists.go."""

from typing import Any, Final

from tiphys.cel.declarations import Library
from tiphys.cel.errors import EvaluationError
from tiphys.cel.values import Optional, contains, type_of

_COMPARABLE: Final = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
RANGE_MAX: Final = 1_000_000  # Ours: a list of the cost that one call may have.
_TABLE: Final = "\n".join(
    [
        "slice list_slice list(A).(int, int) -> list(A)",
        "flatten list_flatten list(list(A)).() -> list(A)",
        "flatten list_flatten_int list(dyn).(int) -> list(dyn)",
        "lists.range lists_range (int) -> list(int)",
        "reverse list_reverse list(A).() -> list(A)",
        "distinct list_distinct list(A).() -> list(A)",
    ]
    + [f"sort list_{kind}_sort list({kind}).() -> list({kind})" for kind in _COMPARABLE]
    + [
        f"@sortByAssociatedKeys list_{kind}_sortByAssociatedKeys list(A).(list({kind})) -> list(A)"
        for kind in _COMPARABLE
    ]
)


def _slice(values: list[Any], start: int, end: int) -> list[Any]:
    place = f"cannot slice({start}, {end})"
    if start < 0 or end < 0:
        raise EvaluationError(f"{place}, negative indexes not supported")
    if start > end:
        text = "start index must be less than or equal to end index"
        raise EvaluationError(f"{place}, {text}")
    if end > len(values):
        raise EvaluationError(f"{place}, list is length {len(values)}")
    return list(values[start:end])


def _flatten(values: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    made: list[Any] = []
    for value in values:
        if isinstance(value, list) and depth:
            made += _flatten(value, depth - 1)
        else:
            made.append(value)
    return made


def _range(count: int) -> list[int]:
    if count > RANGE_MAX:
        raise EvaluationError(f"lists.range: {count} is more than {RANGE_MAX}")
    return list(range(max(count, 0)))


def _distinct(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if not contains(found, value):
            found.append(value)
    return found


def _sort_by(values: list[Any], keys: list[Any]) -> list[Any]:
    if len(values) != len(keys):
        text = (
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list"
        )
        text += f", but got {len(values)} and {len(keys)} elements respectively"
        raise EvaluationError(text)
    if len({type_of(key) for key in keys}) > 1:
        raise EvaluationError("list elements must have the same type")
    if keys and isinstance(keys[0], (list, dict, Optional, type(None))):
        raise EvaluationError("list elements must be comparable")
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return [values[index] for index in order]


LIBRARY: Final = Library(
    _TABLE,
    {
        "list_slice": _slice,
        "list_flatten": _flatten,
        "list_flatten_int": _flatten,
        "lists_range": _range,
        "list_reverse": lambda values: list(reversed(values)),
        "list_distinct": _distinct,
        **{f"list_{kind}_sort": lambda values: _sort_by(values, values) for kind in _COMPARABLE},
        **{f"list_{kind}_sortByAssociatedKeys": _sort_by for kind in _COMPARABLE},
    },
)
