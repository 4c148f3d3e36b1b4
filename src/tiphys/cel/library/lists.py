"""Lists of Kubernetes' own library. Upstream: apiserver/pkg/cel/library/lists.go."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

from tiphys.cel.declarations import Implementation, Library
from tiphys.cel.errors import EvaluationError
from tiphys.cel.library.operators import duration_in_range, int_in_range, uint_in_range
from tiphys.cel.values import Duration, Uint, equal

_COMPARABLE: Final = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
_SUMMABLE: Final = ("int", "uint", "double", "duration")
_TABLE: Final = "\n".join(
    [f"isSorted list_{kind}_is_sorted_bool list({kind}).() -> bool" for kind in _COMPARABLE]
    + [f"sum list_{kind}_sum_{kind} list({kind}).() -> {kind}" for kind in _SUMMABLE]
    + [f"max list_{kind}_max_{kind} list({kind}).() -> {kind}" for kind in _COMPARABLE]
    + [f"min list_{kind}_min_{kind} list({kind}).() -> {kind}" for kind in _COMPARABLE]
    + [
        "indexOf list_a_index_of_int list(A).(A) -> int",
        "lastIndexOf list_a_last_index_of_int list(A).(A) -> int",
    ]
)


def _is_sorted(values: list[Any]) -> bool:
    try:
        return all(one <= other for one, other in pairwise(values))
    except TypeError:
        raise EvaluationError("no such overload") from None


def _extreme(name: str, choose: Callable[[list[Any]], Any]) -> Implementation:
    def find(values: list[Any]) -> Any:
        if not values:
            raise EvaluationError(f"{name} called on empty list")
        try:
            return choose(values)
        except TypeError:
            raise EvaluationError("no such overload") from None

    return find


def _sum_of(values: list[Any], kind: str) -> Any:
    match kind:
        case "int":
            return int_in_range(sum(values))
        case "uint":
            return uint_in_range(sum(int(value) for value in values))
        case "duration":
            return duration_in_range(sum(value.ns for value in values))
        case _:
            return float(sum(values))


def _sum(kind: str) -> Implementation:
    wanted = {"int": int, "uint": Uint, "double": float, "duration": Duration}[kind]

    def add(values: list[Any]) -> Any:
        if any(type(value) is not wanted for value in values):
            raise EvaluationError("no such overload")
        return _sum_of(values, kind)

    return add


def _index_of(values: list[Any], wanted: Any) -> int:
    return next((at for at, value in enumerate(values) if equal(value, wanted)), -1)


def _last_index_of(values: list[Any], wanted: Any) -> int:
    places = range(len(values) - 1, -1, -1)
    return next((at for at in places if equal(values[at], wanted)), -1)


LIBRARY: Final = Library(
    _TABLE,
    {
        **{f"list_{kind}_is_sorted_bool": _is_sorted for kind in _COMPARABLE},
        **{f"list_{kind}_sum_{kind}": _sum(kind) for kind in _SUMMABLE},
        **{f"list_{kind}_max_{kind}": _extreme("max", max) for kind in _COMPARABLE},
        **{f"list_{kind}_min_{kind}": _extreme("min", min) for kind in _COMPARABLE},
        "list_a_index_of_int": _index_of,
        "list_a_last_index_of_int": _last_index_of,
    },
)
