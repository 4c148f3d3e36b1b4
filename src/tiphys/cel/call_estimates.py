"""What calls may cost at most, before anything is evaluated, and how large their results may be.

Upstream: cel-go checker/cost.go (functionCost); apiserver/pkg/cel/library/cost.go
(EstimateCallCost).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tiphys.cel import costs, types
from tiphys.cel.amounts import AMOUNT_MAX, ONE, UNKNOWN, Amount, exactly
from tiphys.cel.costs import PATTERN, TRAVERSAL
from tiphys.cel.syntax import Literal, Node
from tiphys.cel.types import Type

FORMAT_CHARS_MAX: Final = 64  # apiserver/pkg/cel/limits.go MaxFormatSize
PATTERN_CHARS_MAX: Final = 128  # MaxNameFormatRegexSize
_OCTETS: Final = Amount(4, 16)  # Of an address.


@dataclass(frozen=True, slots=True)
class Part:
    """A target or an argument. `element` is the size of what a list holds, where it is one."""

    node: Node
    type: Type
    size: Amount
    element: Amount | None = None

    @property
    def element_type(self) -> Type | None:
        return self.type.params[0] if self.type.params else None


@dataclass(frozen=True, slots=True)
class Estimate:
    cost: Amount  # Without what the arguments cost.
    size: Amount | None = None  # Of the result, where something is known.


_Rule = Callable[[Part | None, Sequence[Part]], Estimate | None]


def _flat(cost: int) -> _Rule:
    return lambda target, args: Estimate(exactly(cost))


def _selector(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    chars = args[0].size
    requirements = chars.scaled(0.5).scaled(costs.LIST_COST + costs.STRUCT_COST)
    return Estimate(exactly(costs.LIST_COST).plus(chars.scaled(TRAVERSAL)).plus(requirements))


def _whole_list(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    if target is None:
        return None
    inner = target.element_type
    if inner is None:  # indexOf() of a string.
        return Estimate(target.size.scaled(TRAVERSAL))
    cost = ONE
    if inner in (types.STRING, types.BYTES):
        cost = cost.plus((target.element or UNKNOWN).scaled(TRAVERSAL))
    return Estimate(target.size.times(cost))


def _traversed(factor: float, *, keeps_size: bool = False) -> _Rule:
    """A look at the first argument."""

    def rule(target: Part | None, args: Sequence[Part]) -> Estimate | None:
        size = args[0].size
        return Estimate(size.scaled(factor), size if keeps_size else None)

    return rule


def _transformed(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    if target is None:
        return None
    return Estimate(target.size.scaled(TRAVERSAL), target.size)


def _replaced(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    if target is None:
        return None
    size, old, new = target.size, args[0].size, args[1].size
    longest = _replacements(size.high, old.low, grows=new.high > old.low)
    shortest = _replacements(size.low, old.high, grows=old.high > new.low)
    count = Amount(shortest[0], longest[0])
    kept = Amount(shortest[1], longest[1])
    return Estimate(size.scaled(2 * TRAVERSAL), count.times(new).plus(kept))


def _replacements(chars: int, old: int, *, grows: bool) -> tuple[int, int]:
    """(how many, how many characters stay) where a text of `old` characters is replaced."""
    if not old:  # Between all characters.
        return min(chars + 1, AMOUNT_MAX), chars
    if not grows:
        return 0, chars
    return -(-chars // old), 0


def _split(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    if target is None:
        return None
    most = target.size.high
    if len(args) > 1:
        limit = args[1].node
        if isinstance(limit, Literal) and type(limit.value) is int:
            most = limit.value % (AMOUNT_MAX + 1)
    return Estimate(target.size.scaled(2 * TRAVERSAL), Amount(0, most))


def _joined(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    if target is None:
        return None
    size = exactly(0)
    if target.element_type is not None:
        size = target.size.times(target.element or UNKNOWN)
    if args:
        gaps = Amount(max(target.size.low - 1, 0), max(target.size.high - 1, 0))
        size = size.plus(args[0].size.times(gaps))
    return Estimate(size.scaled(TRAVERSAL), size)


def _found(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    if target is None:
        return None
    cost = target.size.plus(ONE).scaled(TRAVERSAL).times(args[0].size.scaled(PATTERN))
    return Estimate(cost, Amount(0, target.size.high))


def _validated(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    return Estimate(args[0].size.scaled(TRAVERSAL).scaled(PATTERN_CHARS_MAX * PATTERN))


def _pairs(factor: int) -> _Rule:
    def rule(target: Part | None, args: Sequence[Part]) -> Estimate | None:
        return Estimate(args[0].size.times(args[1].size).scaled(factor).plus(ONE))

    return rule


def _list_cost(size: Amount, factor: float) -> Estimate:
    """Of a call that makes a list."""
    return Estimate(size.scaled(factor).plus(exactly(1 + costs.LIST_COST)), size)


def _number(part: Part, otherwise: int) -> int:
    value = part.node.value if isinstance(part.node, Literal) else None
    return value if type(value) is int and value >= 0 else otherwise


def _sliced(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    if target is None:
        return None
    count = _number(args[1], target.size.high) - _number(args[0], 0)
    return _list_cost(exactly(count % (AMOUNT_MAX + 1)), 1)


def _ranged(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    return _list_cost(exactly(_number(args[0], AMOUNT_MAX)), 1)


def _reversed(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    return _list_cost(target.size, 1) if target is not None else None


def _flattened(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    depth = _number(args[0], AMOUNT_MAX) if args else 1
    return _list_cost(target.size, depth) if target is not None else None


def _distinct(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    return _list_cost(target.size.times(target.size), 2) if target is not None else None


def _sorted(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    if target is None:
        return None
    keys = args[0] if args else target
    factor = 2 + TRAVERSAL if keys.element_type in (types.STRING, types.BYTES) else 2.0
    return _list_cost(keys.size.times(keys.size), factor)


# By the function's name, whichever overload it is.
_OF_FUNCTIONS: Final[dict[str, _Rule]] = {
    "check": _flat(costs.CHECK_COST),
    "fieldSelector": _selector,
    "labelSelector": _selector,
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _whole_list),
    **dict.fromkeys(("url", "jsonpatch.escapeKey"), _traversed(TRAVERSAL, keeps_size=True)),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _transformed),
    "replace": _replaced,
    "split": _split,
    "join": _joined,
    "find": _found,
    "findAll": _found,
    **dict.fromkeys(("cidr", "isIP", "isCIDR"), _traversed(TRAVERSAL)),
    "ip.isCanonical": _traversed(2 * TRAVERSAL),
    **dict.fromkeys(("quantity", "isQuantity", "semver", "isSemver"), _traversed(TRAVERSAL)),
    "validate": _validated,
    "sets.contains": _pairs(1),
    "sets.intersects": _pairs(1),
    "sets.equivalent": _pairs(2),
    "slice": _sliced,
    "lists.range": _ranged,
    "reverse": _reversed,
    "flatten": _flattened,
    "distinct": _distinct,
    "sort": _sorted,
    "@sortByAssociatedKeys": _sorted,
}


def _in_range(*, is_text: bool, is_range: bool) -> _Rule:
    def rule(target: Part | None, args: Sequence[Part]) -> Estimate | None:
        cost = _OCTETS.plus(_OCTETS).scaled(TRAVERSAL)
        if is_range:
            cost = cost.plus(_OCTETS.scaled(TRAVERSAL)).plus(ONE)
        return Estimate(cost.plus(args[0].size.scaled(TRAVERSAL)) if is_text else cost)

    return rule


def _to_bytes(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    size = args[0].size
    longest = min(size.high * 4, AMOUNT_MAX) if size.high < AMOUNT_MAX else AMOUNT_MAX - 3
    return Estimate(size.scaled(TRAVERSAL), Amount(size.low, longest))


def _to_text(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    size = args[0].size
    return Estimate(size.scaled(TRAVERSAL), Amount(size.low // 4, size.high))


def _quoted(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    size = args[0].size
    longest = min(size.high * 2 + 2, AMOUNT_MAX)
    return Estimate(size.scaled(TRAVERSAL), Amount(size.low + 2, longest))


def _formatted(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    return Estimate(target.size.scaled(TRAVERSAL)) if target is not None else None


def _in_list(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    return Estimate(args[1].size)


def _matched(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    if target is None:
        return None
    text = target.size.plus(ONE).scaled(TRAVERSAL)
    return Estimate(text.times(args[0].size.scaled(PATTERN)))


def _contained(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    if target is None:
        return None
    return Estimate(target.size.scaled(TRAVERSAL).times(args[0].size.scaled(TRAVERSAL)))


def _added(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    size = args[0].size.plus(args[1].size)
    return Estimate(size.scaled(TRAVERSAL), size)


def _added_lists(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    return Estimate(ONE, args[0].size.plus(args[1].size))


def _compared(target: Part | None, args: Sequence[Part]) -> Estimate | None:
    high = min(args[0].size.high, args[1].size.high)
    return Estimate(Amount(1 if high else 0, high).scaled(TRAVERSAL))


_ORDER: Final = [
    f"{word}_{kind}"
    for word in ("less", "less_equals", "greater", "greater_equals")
    for kind in ("string", "bytes")
]
_OF_OVERLOADS: Final[dict[str, _Rule]] = {
    "string_to_ip": _traversed(TRAVERSAL),
    "cidr_contains_ip_string": _in_range(is_text=True, is_range=False),
    "cidr_contains_ip_ip": _in_range(is_text=False, is_range=False),
    "cidr_contains_cidr_string": _in_range(is_text=True, is_range=True),
    "cidr_contains_cidr": _in_range(is_text=False, is_range=True),
    "string_format": _formatted,
    "string_to_bytes": _to_bytes,
    "bytes_to_string": _to_text,
    "strings_quote": _quoted,
    "starts_with_string": _traversed(TRAVERSAL),
    "ends_with_string": _traversed(TRAVERSAL),
    "in_list": _in_list,
    "matches_string": _matched,
    "contains_string": _contained,
    "add_string": _added,
    "add_bytes": _added,
    "add_list": _added_lists,
    "equals": _compared,
    "not_equals": _compared,
    **dict.fromkeys(_ORDER, _compared),
}
# Of these types, equality looks at little.
_SMALL: Final = frozenset({
    "net.IP", "net.CIDR", "kubernetes.Quantity", "kubernetes.Semver",
    "kubernetes.authorization.Authorizer", "kubernetes.authorization.PathCheck",
    "kubernetes.authorization.GroupCheck", "kubernetes.authorization.ResourceCheck",
    "kubernetes.authorization.Decision",
})  # fmt: skip


def estimate(function: str, overload: str, target: Part | None, args: Sequence[Part]) -> Estimate:
    """One unit, where nothing else is known."""
    rule = _OF_FUNCTIONS.get(function) or _OF_OVERLOADS.get(overload)
    if overload == "equals" and args[0].type == args[1].type:
        name = args[0].type.name
        if name in _SMALL:
            return Estimate(ONE)
        if name == "kubernetes.NamedFormat":
            return Estimate(Amount(1, FORMAT_CHARS_MAX).scaled(TRAVERSAL))
        if name == "kubernetes.URL":
            return Estimate(
                Amount(1, 1 if args[1].size == UNKNOWN else args[1].size.high).scaled(TRAVERSAL)
            )
    found = rule(target, args) if rule is not None else None
    return found if found is not None else Estimate(ONE)
