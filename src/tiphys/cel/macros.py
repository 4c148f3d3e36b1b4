"""Macros: calls that become other expressions before anything is checked.

Source: doc/langdef.md (Macros); cel-go parser/macro.go, ext/comprehensions.go, cel/library.go.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from tiphys.cel import syntax
from tiphys.cel.syntax import (
    Call,
    Comprehension,
    CreateList,
    CreateMap,
    Ident,
    Literal,
    Node,
    Select,
)

_RESERVED_RESULTS: Final = ("__result__", syntax.RESULT)
_UNUSED: Final = "#unused"
_SORTED: Final = "@__sortBy_input__"


class MacroError(Exception):
    """A macro's arguments do not fit: the place and a sentence."""

    def __init__(self, offset: int, text: str) -> None:
        super().__init__(text)
        self.offset = offset
        self.text = text


class Factory:
    """Makes nodes with numbers of their own. `has_bind`: whether cel.bind() is a macro."""

    def __init__(self, *, has_bind: bool = False) -> None:
        self._last = 0
        self.has_bind = has_bind

    def next_id(self) -> int:
        self._last += 1
        return self._last

    def literal(self, offset: int, value: Any) -> Literal:
        return Literal(self.next_id(), offset, value)

    def ident(self, offset: int, name: str) -> Ident:
        return Ident(self.next_id(), offset, name)

    def call(self, offset: int, function: str, *args: Node, target: Node | None = None) -> Call:
        return Call(self.next_id(), offset, function, target, list(args))

    def loop(self, offset: int, names: Sequence[str], over: Node, *parts: Node) -> Comprehension:
        """`parts`: start, condition, step, result."""
        start, condition, step, result = parts
        second = names[1] if len(names) > 1 else ""
        return Comprehension(
            self.next_id(), offset, names[0], second, over, syntax.RESULT, start, condition, step,
            result,
        )  # fmt: skip


_Expander = Callable[[Factory, int, Node, list[Node]], Node]


def expanded(
    make: Factory, offset: int, function: str, target: Node | None, args: list[Node]
) -> Node | None:
    """The expression that a call stands for; None where it is an ordinary call.

    Raises MacroError.
    """
    if target is None:
        return _has(make, offset, args[0]) if function == "has" and len(args) == 1 else None
    if make.has_bind and (function, len(args)) == ("bind", 3) and _is_cel(target):
        return bind(make, offset, target, args)
    expander = _MACROS.get((function, len(args)))
    return expander(make, offset, target, args) if expander else None


def _is_cel(node: Node) -> bool:
    return isinstance(node, Ident) and node.name == "cel"


def _has(make: Factory, offset: int, arg: Node) -> Node:
    if not isinstance(arg, Select) or arg.is_test:
        raise MacroError(arg.offset, "invalid argument to has() macro")
    return Select(make.next_id(), offset, arg.operand, arg.field, is_test=True)


def _names(args: list[Node], count: int, text: str) -> list[str]:
    """The variables of a loop."""
    names: list[str] = []
    for arg in args[:count]:
        if not isinstance(arg, Ident) or arg.name.startswith("."):
            raise MacroError(arg.offset, text)
        if arg.name in _RESERVED_RESULTS:
            raise MacroError(arg.offset, "iteration variable overwrites accumulator variable")
        if arg.name in names:
            raise MacroError(arg.offset, f"duplicate variable name: {arg.name}")
        names.append(arg.name)
    return names


_SIMPLE: Final = "argument must be a simple name"
_IDENTIFIER: Final = "argument is not an identifier"


def _all(make: Factory, offset: int, target: Node, args: list[Node]) -> Node:
    names = _names(args, len(args) - 1, _SIMPLE)
    accumulated = make.ident(offset, syntax.RESULT)
    condition = make.call(offset, syntax.NOT_STRICTLY_FALSE, accumulated)
    step = make.call(offset, syntax.AND, make.ident(offset, syntax.RESULT), args[-1])
    start, result = make.literal(offset, True), make.ident(offset, syntax.RESULT)
    return make.loop(offset, names, target, start, condition, step, result)


def _exists(make: Factory, offset: int, target: Node, args: list[Node]) -> Node:
    names = _names(args, len(args) - 1, _SIMPLE)
    accumulated = make.call(offset, syntax.NOT, make.ident(offset, syntax.RESULT))
    condition = make.call(offset, syntax.NOT_STRICTLY_FALSE, accumulated)
    step = make.call(offset, syntax.OR, make.ident(offset, syntax.RESULT), args[-1])
    start, result = make.literal(offset, False), make.ident(offset, syntax.RESULT)
    return make.loop(offset, names, target, start, condition, step, result)


def _exists_one(make: Factory, offset: int, target: Node, args: list[Node]) -> Node:
    names = _names(args, len(args) - 1, _SIMPLE)
    one_more = make.call(
        offset, syntax.ADD, make.ident(offset, syntax.RESULT), make.literal(offset, 1)
    )
    step = _when(make, offset, args[-1], one_more)
    is_one = make.call(
        offset, syntax.EQUALS, make.ident(offset, syntax.RESULT), make.literal(offset, 1)
    )
    start, condition = make.literal(offset, 0), make.literal(offset, True)
    return make.loop(offset, names, target, start, condition, step, is_one)


def _when(make: Factory, offset: int, condition: Node, step: Node) -> Node:
    """The step where the condition holds, and nothing new otherwise."""
    same = make.ident(offset, syntax.RESULT)
    return make.call(offset, syntax.CONDITIONAL, condition, step, same)


def _gathered(make: Factory, offset: int, value: Node) -> Node:
    """What was gathered and one value more."""
    one = CreateList(make.next_id(), offset, [value])
    return make.call(offset, syntax.ADD, make.ident(offset, syntax.RESULT), one)


def _list_loop(make: Factory, offset: int, names: list[str], target: Node, step: Node) -> Node:
    start = CreateList(make.next_id(), offset, [])
    condition, result = make.literal(offset, True), make.ident(offset, syntax.RESULT)
    return make.loop(offset, names, target, start, condition, step, result)


def _map(make: Factory, offset: int, target: Node, args: list[Node]) -> Node:
    names = _names(args, 1, _IDENTIFIER)
    step = _gathered(make, offset, args[-1])
    if len(args) == 3:
        step = _when(make, offset, args[1], step)
    return _list_loop(make, offset, names, target, step)


def _filter(make: Factory, offset: int, target: Node, args: list[Node]) -> Node:
    names = _names(args, 1, _IDENTIFIER)
    step = _when(make, offset, args[1], _gathered(make, offset, args[0]))
    return _list_loop(make, offset, names, target, step)


def _transform_list(make: Factory, offset: int, target: Node, args: list[Node]) -> Node:
    names = _names(args, 2, _SIMPLE)
    step = _gathered(make, offset, args[-1])
    if len(args) == 4:
        step = _when(make, offset, args[2], step)
    return _list_loop(make, offset, names, target, step)


def _transform_map(make: Factory, offset: int, target: Node, args: list[Node]) -> Node:
    key = make.ident(offset, _names(args, 2, _SIMPLE)[0])
    return _map_loop(make, offset, target, args, [key, args[-1]])


def _transform_entry(make: Factory, offset: int, target: Node, args: list[Node]) -> Node:
    return _map_loop(make, offset, target, args, [args[-1]])


def _map_loop(
    make: Factory, offset: int, target: Node, args: list[Node], inserted: list[Node]
) -> Node:
    names = _names(args, 2, _SIMPLE)
    step: Node = make.call(offset, syntax.MAP_INSERT, make.ident(offset, syntax.RESULT), *inserted)
    if len(args) == 4:
        step = _when(make, offset, args[2], step)
    start = CreateMap(make.next_id(), offset, [])
    condition, result = make.literal(offset, True), make.ident(offset, syntax.RESULT)
    return make.loop(offset, names, target, start, condition, step, result)


def _optional_map(make: Factory, offset: int, target: Node, args: list[Node]) -> Node:
    name = _optional_name("optMap", args[0])
    inner = _bound(make, offset, name, target, args[1])
    return _if_there(make, offset, target, make.call(offset, "optional.of", inner))


def _optional_flat_map(make: Factory, offset: int, target: Node, args: list[Node]) -> Node:
    name = _optional_name("optFlatMap", args[0])
    return _if_there(make, offset, target, _bound(make, offset, name, target, args[1]))


def _optional_name(macro: str, arg: Node) -> str:
    if not isinstance(arg, Ident):
        raise MacroError(arg.offset, f"{macro}() variable name must be a simple identifier")
    return arg.name


def _bound(make: Factory, offset: int, name: str, target: Node, inner: Node) -> Node:
    """`inner`, in which a name stands for the value of the optional `target`: an empty loop."""
    value = make.call(offset, "value", target=target)
    nothing = CreateList(make.next_id(), offset, [])
    return Comprehension(
        make.next_id(), offset, _UNUSED, "", nothing, name, value, make.literal(offset, False),
        make.ident(offset, name), inner,
    )  # fmt: skip


def _if_there(make: Factory, offset: int, target: Node, then: Node) -> Node:
    has_value = make.call(offset, "hasValue", target=target)
    none = make.call(offset, "optional.none")
    return make.call(offset, syntax.CONDITIONAL, has_value, then, none)


def _sort_by(make: Factory, offset: int, target: Node, args: list[Node]) -> Node:
    if not isinstance(target, (Ident, Select, Call, CreateList, Comprehension)):
        text = "sortBy can only be applied to a list, identifier, comprehension, call or select"
        raise MacroError(target.offset, f"{text} expression")
    keys = _map(make, offset, make.ident(offset, _SORTED), args)
    result = make.call(offset, "@sortByAssociatedKeys", keys, target=make.ident(offset, _SORTED))
    nothing = CreateList(make.next_id(), offset, [])
    return Comprehension(
        make.next_id(), offset, _UNUSED, "", nothing, _SORTED, target, make.literal(offset, False),
        make.ident(offset, _SORTED), result,
    )  # fmt: skip


def bind(make: Factory, offset: int, target: Node, args: list[Node]) -> Node:
    """`cel.bind(name, value, expression)`, which not every environment has."""
    name = args[0]
    if not isinstance(name, Ident):
        raise MacroError(name.offset, "cel.bind() variable names must be simple identifiers")
    nothing = CreateList(make.next_id(), offset, [])
    return Comprehension(
        make.next_id(), offset, _UNUSED, "", nothing, name.name, args[1],
        make.literal(offset, False), make.ident(offset, name.name), args[2],
    )  # fmt: skip


_MACROS: Final[dict[tuple[str, int], _Expander]] = {
    ("all", 2): _all,
    ("all", 3): _all,
    ("exists", 2): _exists,
    ("exists", 3): _exists,
    ("exists_one", 2): _exists_one,
    ("exists_one", 3): _exists_one,
    ("existsOne", 2): _exists_one,
    ("existsOne", 3): _exists_one,
    ("map", 2): _map,
    ("map", 3): _map,
    ("filter", 2): _filter,
    ("transformList", 3): _transform_list,
    ("transformList", 4): _transform_list,
    ("transformMap", 3): _transform_map,
    ("transformMap", 4): _transform_map,
    ("transformMapEntry", 3): _transform_entry,
    ("transformMapEntry", 4): _transform_entry,
    ("sortBy", 2): _sort_by,
    ("optMap", 2): _optional_map,
    ("optFlatMap", 2): _optional_flat_map,
}
