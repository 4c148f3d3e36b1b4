"""Optional values. Upstream: cel-go cel/library.go (OptionalTypes)."""

from typing import Any, Final

from tiphys.cel.declarations import Library
from tiphys.cel.errors import EvaluationError
from tiphys.cel.values import NONE, Optional

_TABLE: Final = """
optional.of              optional_of              (V) -> optional_type(V)
optional.ofNonZeroValue  optional_ofNonZeroValue  (V) -> optional_type(V)
optional.none            optional_none            () -> optional_type(V)
value     optional_value          optional_type(V).() -> V
hasValue  optional_hasValue       optional_type(V).() -> bool
or        optional_or_optional    optional_type(V).(optional_type(V)) -> optional_type(V)
orValue   optional_orValue_value  optional_type(V).(V) -> V
_?._      select_optional_field   (dyn, string) -> optional_type(V)
_[?_]     list_optindex_optional_int            (list(V), int) -> optional_type(V)
_[?_]     optional_list_optindex_optional_int   (optional_type(list(V)), int) -> optional_type(V)
_[?_]     map_optindex_optional_value           (map(K, V), K) -> optional_type(V)
_[?_]     optional_map_optindex_optional_value  (optional_type(map(K, V)), K) -> optional_type(V)
_[_]      optional_list_index_int               (optional_type(list(V)), int) -> optional_type(V)
_[_]      optional_map_index_value              (optional_type(map(K, V)), K) -> optional_type(V)
"""


def _of_non_zero(value: Any) -> Optional:
    return NONE if is_zero(value) else Optional(value)


def is_zero(value: Any) -> bool:
    """Whether a value says nothing: empty, 0, false, null."""
    if value is None or isinstance(value, (str, bytes, list, dict, int, float)):
        return not value
    ns = getattr(value, "ns", None)
    if ns is not None:
        return bool(ns == 0)
    return isinstance(value, Optional) and not value.has_value


def _value(one: Optional) -> Any:
    if not one.has_value:
        raise EvaluationError("optional.none() dereference")
    return one.value


def optional_list_item(values: list[Any], index: int) -> Optional:
    if type(index) is int and 0 <= index < len(values):
        return Optional(values[index])
    return NONE


def optional_map_value(values: dict[Any, Any], key: Any) -> Optional:
    try:
        return Optional(values[key])
    except (KeyError, TypeError):
        return NONE


def _within_list(one: Optional, index: int) -> Optional:
    return optional_list_item(one.value, index) if one.has_value else NONE


def _within_map(one: Optional, key: Any) -> Optional:
    return optional_map_value(one.value, key) if one.has_value else NONE


LIBRARY: Final = Library(
    _TABLE,
    {
        "optional_of": Optional,
        "optional_ofNonZeroValue": _of_non_zero,
        "optional_none": lambda: NONE,
        "optional_value": _value,
        "optional_hasValue": lambda one: one.has_value,
        "list_optindex_optional_int": optional_list_item,
        "optional_list_optindex_optional_int": _within_list,
        "map_optindex_optional_value": optional_map_value,
        "optional_map_optindex_optional_value": _within_map,
        "optional_list_index_int": _within_list,
        "optional_map_index_value": _within_map,
    },
)
