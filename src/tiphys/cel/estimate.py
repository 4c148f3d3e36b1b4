"""What an expression may cost at most, from its tree and the bounds that a schema gives.

Upstream: cel-go checker/cost.go. Sizes are of what `size()` counts.
"""

from collections.abc import Callable, Sequence
from typing import Final

from tiphys.cel import call_estimates, costs, syntax, types
from tiphys.cel.amounts import NOTHING, ONE, UNKNOWN, Amount, exactly
from tiphys.cel.call_estimates import Part
from tiphys.cel.checker import Checked
from tiphys.cel.syntax import (
    Call,
    Comprehension,
    CreateList,
    CreateMap,
    CreateStruct,
    Ident,
    Literal,
    Node,
    Select,
)
from tiphys.cel.types import Type

Path = tuple[str, ...]
"""A variable, then names of fields, `@items`, `@keys` or `@values`."""
SizeMax = Callable[[Path], int | None]
"""The most that a place in the data may hold; None where nothing is known."""

_SCALARS: Final = (
    types.BOOL, types.INT, types.UINT, types.DOUBLE, types.DURATION, types.TIMESTAMP,
)  # fmt: skip
_FIELDS: Final = (types.MAP_KIND, types.STRUCT_KIND, types.PARAM_KIND)


class _Entries:
    """Sizes of what a list or map holds, as far as the expression itself says."""

    __slots__ = ("is_list", "key", "value")

    def __init__(self, is_list: bool, key: Amount, value: Amount) -> None:
        self.is_list, self.key, self.value = is_list, key, value

    def or_else(self, other: "_Entries") -> "_Entries":
        return _Entries(self.is_list, self.key.or_else(other.key), self.value.or_else(other.value))


class _Local:
    """A variable of a loop."""

    __slots__ = ("entries", "path", "size")

    def __init__(self, path: Path, size: Amount | None, entries: _Entries | None) -> None:
        self.path, self.size, self.entries = path, size, entries


def cost_of(checked: Checked, size_max: SizeMax) -> Amount:
    return _Estimator(checked, size_max).cost(checked.tree)


class _Estimator:
    def __init__(self, checked: Checked, size_max: SizeMax) -> None:
        self._checked = checked
        self._size_max = size_max
        self._paths: dict[int, Path] = {}
        self._sizes: dict[int, Amount] = {}
        self._entries: dict[int, _Entries] = {}
        self._locals: dict[str, list[_Local]] = {}

    # --- what is known of nodes

    def _type(self, node: Node) -> Type:
        return self._checked.types[node.id]

    def _local(self, name: str) -> _Local | None:
        known = self._locals.get(name)
        return known[-1] if known else None

    def _path(self, node: Node) -> Path:
        if isinstance(node, Ident) and (local := self._local(node.name)) is not None:
            return local.path
        return self._paths.get(node.id, ())

    def _size(self, node: Node) -> Amount | None:
        known = self._sizes.get(node.id)
        if known is None:
            known = _literal_size(node)
        if known is not None:
            return known
        most = self._most(self._path(node))
        if most is not None:
            self._sizes[node.id] = most
            return most
        if _is_scalar(self._type(node)):
            return ONE
        local = self._local(node.name) if isinstance(node, Ident) else None
        return local.size if local is not None else None

    def _most(self, path: Path) -> Amount | None:
        most = self._size_max(path) if path else None
        return Amount(0, most) if most is not None else None

    def _size_or_unknown(self, node: Node) -> Amount:
        found = self._size(node)
        return UNKNOWN if found is None else found

    def _entries_of(self, node: Node) -> _Entries | None:
        known = self._entries.get(node.id)
        if known is not None:
            return known
        local = self._local(node.name) if isinstance(node, Ident) else None
        return local.entries if local is not None else None

    # --- nodes

    def cost(self, node: Node) -> Amount:
        match node:
            case Ident():
                local = self._local(node.name)
                self._paths[node.id] = local.path if local is not None else (node.name,)
                return ONE
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case CreateList():
                return self._list(node)
            case CreateMap():
                return self._map(node)
            case CreateStruct():
                values = [self.cost(field.value) for field in node.fields]
                return _sum(values).plus(exactly(costs.STRUCT_COST))
            case Comprehension() if node.accumulator != syntax.RESULT:
                return self._bound(node)
            case Comprehension():
                return self._loop(node)
            case _:
                return NOTHING

    def _select(self, node: Select) -> Amount:
        if node.id in self._checked.overloads:  # A name with dots.
            return ONE
        cost = self.cost(node.operand)
        if node.is_test:
            return cost
        if self._type(node.operand).kind in _FIELDS:
            cost = cost.plus(ONE)
        self._paths[node.id] = (*self._path(node.operand), node.field)
        return cost

    def _list(self, node: CreateList) -> Amount:
        cost = _sum([self.cost(one) for one in node.elements])
        sizes = [self._size_or_unknown(one) for one in node.elements]
        self._entries[node.id] = _Entries(True, ONE, _union(sizes))
        return cost.plus(exactly(costs.LIST_COST))

    def _map(self, node: CreateMap) -> Amount:
        cost = _sum([self.cost(p) for one in node.entries for p in (one.key, one.value)])
        keys = _union([self._size_or_unknown(one.key) for one in node.entries])
        values = _union([self._size_or_unknown(one.value) for one in node.entries])
        self._entries[node.id] = _Entries(False, keys, values)
        return cost.plus(exactly(costs.MAP_COST))

    # --- calls

    def _call(self, node: Call) -> Amount:
        arg_costs = [self.cost(arg) for arg in node.args]
        if node.function == "dyn":
            self._copy(node, node.args[0])
            return ONE.plus(arg_costs[0])
        if node.function in (syntax.AND, syntax.OR):
            both = arg_costs[0].plus(arg_costs[1])
            return Amount(arg_costs[0].low, both.high)
        if node.function == syntax.CONDITIONAL:
            return self._conditional(node, arg_costs)
        args = [self._part(arg) for arg in node.args]
        cost = _sum(arg_costs)
        target: Part | None = None
        if node.target is not None:
            cost = cost.plus(self.cost(node.target))
            target = self._part(node.target)
        found = [
            call_estimates.estimate(node.function, overload, target, args)
            for overload in self._checked.overloads[node.id]
        ]
        sizes = [one.size for one in found if one.size is not None]
        self._note_result(node, _union(sizes) if sizes else None)
        return cost.plus(_union([one.cost for one in found]))

    def _part(self, node: Node) -> Part:
        return Part(node, self._type(node), self._size_or_unknown(node), self._element(node))

    def _element(self, node: Node) -> Amount | None:
        path = self._path(node)
        return self._most((*path, "@items")) if path else None

    def _note_result(self, node: Call, size: Amount | None) -> None:
        overloads = self._checked.overloads[node.id]
        for overload, step in (("index_list", "@items"), ("index_map", "@values")):
            if overload in overloads:
                entries = self._entries_of(node.args[0])
                size = entries.value if entries is not None else None
                self._paths[node.id] = (*self._path(node.args[0]), step)
        if node.function == syntax.ADD and len(node.args) == 2:
            left, right = (self._entries_of(arg) for arg in node.args)
            if left is not None and right is not None:
                self._entries[node.id] = left.or_else(right)
        if size is None:
            size = self._size(node)
        if size is not None:
            self._sizes[node.id] = size

    def _conditional(self, node: Call, arg_costs: Sequence[Amount]) -> Amount:
        _, then, other = node.args
        left, right = self._entries_of(then), self._entries_of(other)
        if left is not None and right is not None:
            self._entries[node.id] = left.or_else(right)
        self._sizes[node.id] = self._size_or_unknown(then).or_else(self._size_or_unknown(other))
        return arg_costs[0].plus(arg_costs[1].or_else(arg_costs[2]))

    def _copy(self, to: Node, source: Node) -> None:
        size, entries = self._size(source), self._entries_of(source)
        if size is not None:
            self._sizes[to.id] = size
        if entries is not None:
            self._entries[to.id] = entries

    # --- loops

    def _push(self, name: str, local: _Local) -> None:
        self._locals.setdefault(name, []).append(local)

    def _pop(self, name: str) -> None:
        self._locals[name].pop()

    def _bound(self, node: Comprehension) -> Amount:
        cost = self.cost(node.range).plus(self.cost(node.start))
        self._push_value(node)
        cost = cost.plus(self.cost(node.result))
        self._pop(node.accumulator)
        self._copy(node, node.result)
        return cost

    def _push_value(self, node: Comprehension) -> None:
        start = node.start
        local = _Local(self._path(start), self._size(start), self._entries_of(start))
        self._push(node.accumulator, local)

    def _loop(self, node: Comprehension) -> Amount:
        cost = self.cost(node.range).plus(self.cost(node.start))
        self._push_value(node)
        names = self._push_variables(node)
        round_cost = self.cost(node.condition)
        round_cost = self.cost(node.step).plus(round_cost)
        for name in names:
            self._pop(name)
        cost = cost.plus(self.cost(node.result))
        self._pop(node.accumulator)
        count = self._size_or_unknown(node.range)
        cost = cost.plus(count.times(round_cost))
        self._note_loop(node, count)
        return cost

    def _push_variables(self, node: Comprehension) -> list[str]:
        entries, path = self._entries_of(node.range), self._path(node.range)
        is_list = self._type(node.range).kind == types.LIST_KIND
        if entries is not None:
            is_list = entries.is_list
        key, value = (entries.key, entries.value) if entries is not None else (None, None)
        keys = _Local((*path, "@indices" if is_list else "@keys"), key, None)
        values = _Local((*path, "@items" if is_list else "@values"), value, None)
        if node.variable2:
            self._push(node.variable, keys)
            self._push(node.variable2, values)
            return [node.variable, node.variable2]
        self._push(node.variable, values if is_list else keys)
        return [node.variable]

    def _note_loop(self, node: Comprehension, count: Amount) -> None:
        if isinstance(node.start, Literal):
            size = self._size(node.start)
            if size is not None:
                self._sizes[node.id] = size
        else:
            self._sizes[node.id] = count
            entries = self._entries_of(node.step)
            if entries is not None:
                self._entries[node.id] = entries


def _sum(costs_of_parts: Sequence[Amount]) -> Amount:
    total = NOTHING
    for one in costs_of_parts:
        total = total.plus(one)
    return total


def _union(amounts: Sequence[Amount]) -> Amount:
    """Any of them; nothing where there is none."""
    if not amounts:
        return NOTHING
    return Amount(min(one.low for one in amounts), max(one.high for one in amounts))


def _literal_size(node: Node) -> Amount | None:
    match node:
        case Literal(value=str() | bytes() as text):
            return exactly(len(text))
        case Literal():
            return ONE
        case CreateList():
            return exactly(len(node.elements))
        case CreateMap():
            return exactly(len(node.entries))
        case _:
            return None


def _is_scalar(one: Type) -> bool:
    return _is_scalar(one.params[0]) if one.is_optional else one in _SCALARS
