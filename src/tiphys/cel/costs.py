"""What a call costs while it is evaluated.

Costs are part of the API: an expression that is stopped here is stopped by every other server.
Upstream: cel-go interpreter/runtimecost.go, common/cost.go; apiserver/pkg/cel/library/cost.go
(CallCost), apis/cel/config.go.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from tiphys.cel.values import size

# apis/cel/config.go
CALL_LIMIT: Final = 1_000_000  # PerCallLimit: one expression.
REQUEST_LIMIT: Final = 10_000_000  # RuntimeCELCostBudget: all expressions of a request.
MATCH_LIMIT: Final = 2_500_000  # RuntimeCELCostBudgetMatchConditions.

LIST_COST, MAP_COST, STRUCT_COST = 10, 30, 40
TRAVERSAL: Final = 0.1  # Of each character.
PATTERN: Final = 0.25  # Of each character of a regular expression.
CHECK_COST: Final = 350_000  # An authorizer's answer: two of them in an expression.

Cost = Callable[[Sequence[Any], Any], int]


def _scaled(count: float, factor: float) -> int:
    return math.ceil(count * factor)


def _traversal(times: int, which: int = 0) -> Cost:
    return lambda args, result: _scaled(size(args[which]), times * TRAVERSAL)


def _of_result(args: Sequence[Any], result: Any) -> int:
    return _scaled(size(result), 2 * TRAVERSAL)


def _tree(value: Any) -> int:
    """Of looking at a value and all within."""
    if isinstance(value, (str, bytes)):
        length = (
            len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else len(value)
        )
        return int(length * TRAVERSAL)
    if isinstance(value, list):
        return sum(_tree(one) for one in value)
    if isinstance(value, dict):
        return sum(_tree(key) + _tree(one) for key, one in value.items())
    return 1


def _whole(args: Sequence[Any], result: Any) -> int:
    return _tree(args[0])


def _pattern(args: Sequence[Any], result: Any) -> int:
    return _scaled(1 + size(args[0]), TRAVERSAL) * _scaled(size(args[1]), PATTERN)


def _validation(args: Sequence[Any], result: Any) -> int:
    pattern_chars: int = args[0].pattern_chars
    return _scaled(1 + size(args[1]), TRAVERSAL) * _scaled(pattern_chars, PATTERN)


def _selector(args: Sequence[Any], result: Any) -> int:
    return selector_cost(size(args[1]))


def selector_cost(chars: int) -> int:
    """A list of requirements, each with a list of values."""
    requirements = _scaled(chars, 0.5)
    return LIST_COST + _scaled(chars, TRAVERSAL) + requirements * (LIST_COST + STRUCT_COST)


def _in_range(is_text: bool, *, is_range: bool) -> Cost:
    def cost(args: Sequence[Any], result: Any) -> int:
        octets = size(args[0])
        found = _scaled(2 * octets, TRAVERSAL)
        if is_range:
            found += _scaled(octets, TRAVERSAL) + 1
        return found + (_scaled(size(args[1]), TRAVERSAL) if is_text else 0)

    return cost


def _smaller(args: Sequence[Any], result: Any) -> int:
    return _scaled(min(size(args[0]), size(args[1])), TRAVERSAL)


def _both(args: Sequence[Any], result: Any) -> int:
    return _scaled(size(args[0]) + size(args[1]), TRAVERSAL)


def _product(args: Sequence[Any], result: Any) -> int:
    return _scaled(size(args[0]), TRAVERSAL) * _scaled(size(args[1]), TRAVERSAL)


def _list_size(args: Sequence[Any], result: Any) -> int:
    return size(args[1])


def _equality(args: Sequence[Any], result: Any) -> int:
    return 1 if hasattr(args[0], "cel_type") else _smaller(args, result)


def _check(args: Sequence[Any], result: Any) -> int:
    return CHECK_COST


_ONCE: Final = _traversal(1)
_TWICE: Final = _traversal(2)


def _pairs(factor: int) -> Cost:
    """Of each element of a list with each of another."""
    return lambda args, result: 1 + factor * size(args[0]) * size(args[1])


def _made_list(args: Sequence[Any], result: Any) -> int:
    return 1 + LIST_COST + size(result)


def _range(args: Sequence[Any], result: Any) -> int:
    length: int = max(args[0], 0)
    return 1 + LIST_COST + length


def _flattened(args: Sequence[Any], result: Any) -> int:
    depth: int = max(args[1], 0) if len(args) == 2 else 1
    return 1 + LIST_COST + size(args[0]) * depth


def _compared_with_itself(which: int) -> Cost:
    def cost(args: Sequence[Any], result: Any) -> int:
        values = args[which]
        factor = 2.0
        if values and isinstance(values[0], (str, bytes)):
            factor += TRAVERSAL
        return 1 + LIST_COST + int(len(values) ** 2 * factor)

    return cost


# By the function's name, whichever overload it is.
_OF_FUNCTIONS: Final[dict[str, Cost]] = {
    "check": _check,
    "fieldSelector": _selector,
    "labelSelector": _selector,
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _whole),
    **dict.fromkeys(
        ("url", "lowerAscii", "upperAscii", "substring", "trim", "jsonpatch.escapeKey"), _ONCE
    ),
    "replace": _TWICE,
    "split": _TWICE,
    "join": _of_result,
    "find": _pattern,
    "findAll": _pattern,
    **dict.fromkeys(("cidr", "isIP", "isCIDR"), _ONCE),
    "ip.isCanonical": _TWICE,
    **dict.fromkeys(("quantity", "isQuantity", "semver", "isSemver"), _ONCE),
    "validate": _validation,
    "_==_": _equality,
    "sets.contains": _pairs(1),
    "sets.intersects": _pairs(1),
    "sets.equivalent": _pairs(2),
    **dict.fromkeys(("slice", "reverse"), _made_list),
    "flatten": _flattened,
    "lists.range": _range,
    "distinct": _compared_with_itself(0),
    "sort": _compared_with_itself(0),
    "@sortByAssociatedKeys": _compared_with_itself(1),
}
# What is known only when the work is done; it is never more than the arguments allow.
AFTERWARDS: Final = frozenset({"join", "slice", "reverse"})
# By the overload, where there is one only.
_COMPARED: Final = [
    f"{word}_{kind}"
    for word in ("less", "less_equals", "greater", "greater_equals")
    for kind in ("string", "bytes")
]
_OF_OVERLOADS: Final[dict[str, Cost]] = {
    "string_to_ip": _ONCE,
    "cidr_contains_ip_string": _in_range(True, is_range=False),
    "cidr_contains_ip_ip": _in_range(False, is_range=False),
    "cidr_contains_cidr_string": _in_range(True, is_range=True),
    "cidr_contains_cidr": _in_range(False, is_range=True),
    **dict.fromkeys(
        (
            *("starts_with_string", "ends_with_string", "string_to_bytes", "bytes_to_string"),
            *("strings_quote", "string_format"),
        ),
        _ONCE,
    ),
    "in_list": _list_size,
    "not_equals": _smaller,
    **dict.fromkeys(_COMPARED, _smaller),
    "add_string": _both,
    "add_bytes": _both,
    "matches": _pattern,
    "matches_string": _pattern,
    "contains_string": _product,
}


def of_call(function: str, overloads: Sequence[str]) -> Cost | None:
    """None: one unit, whatever the arguments are."""
    found = _OF_FUNCTIONS.get(function)
    if found is None and len(overloads) == 1:
        found = _OF_OVERLOADS.get(overloads[0])
    return found
