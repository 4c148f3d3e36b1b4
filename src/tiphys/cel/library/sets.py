"""Lists as sets. Upstream: cel-go ext/sets.go."""

from typing import Any, Final

from tiphys.cel.declarations import Library
from tiphys.cel.values import contains

_TABLE: Final = """
sets.contains    list_sets_contains_list    (list(T), list(T)) -> bool
sets.equivalent  list_sets_equivalent_list  (list(T), list(T)) -> bool
sets.intersects  list_sets_intersects_list  (list(T), list(T)) -> bool
"""


def _contains(values: list[Any], wanted: list[Any]) -> bool:
    return all(contains(values, one) for one in wanted)


def _equivalent(values: list[Any], others: list[Any]) -> bool:
    return _contains(values, others) and _contains(others, values)


def _intersects(values: list[Any], others: list[Any]) -> bool:
    return any(contains(others, one) for one in values)


LIBRARY: Final = Library(
    _TABLE,
    {
        "list_sets_contains_list": _contains,
        "list_sets_equivalent_list": _equivalent,
        "list_sets_intersects_list": _intersects,
    },
)
