"""What can be seen to be wrong in a checked expression although its types fit.

Upstream: cel-go cel/validator.go (durations, timestamps, regular expressions, homogeneous
aggregates), ext/formatting.go (stringFormatValidator).
"""

from collections.abc import Iterator
from typing import Any, Final

from tiphys.cel import patterns, types
from tiphys.cel.checker import Checked
from tiphys.cel.environment import Environment
from tiphys.cel.errors import CompileError, EvaluationError, Issue
from tiphys.cel.library.string_format import FITTING, walk, wrong_type
from tiphys.cel.library.times import parsed_duration, parsed_timestamp
from tiphys.cel.syntax import (
    Call,
    Comprehension,
    CreateList,
    CreateMap,
    CreateStruct,
    Literal,
    Node,
    Select,
)
from tiphys.cel.types import Type
from tiphys.cel.values import type_name

_FORMAT: Final = "format"  # Its list may hold anything.


def check_literals(checked: Checked, environment: Environment) -> None:
    """Raises CompileError."""
    issues = [
        issue
        for node, is_free in _nodes(checked.tree, False)
        for issue in _issues(checked, node, is_free)
    ]
    if issues:
        raise CompileError(checked.source, issues)


def _nodes(node: Node, is_free: bool) -> Iterator[tuple[Node, bool]]:
    """All nodes, and whether they stand within a call of format()."""
    yield node, is_free
    within = is_free or (isinstance(node, Call) and node.function == _FORMAT)
    for child in _children(node):
        yield from _nodes(child, within)


def _children(node: Node) -> list[Node]:
    match node:
        case Select():
            return [node.operand]
        case Call():
            return [node.target, *node.args] if node.target is not None else node.args
        case CreateList():
            return node.elements
        case CreateMap():
            return [part for one in node.entries for part in (one.key, one.value)]
        case CreateStruct():
            return [one.value for one in node.fields]
        case Comprehension():
            return [node.range, node.start, node.condition, node.step, node.result]
        case _:
            return []


def _issues(checked: Checked, node: Node, is_free: bool) -> Iterator[Issue]:
    match node:
        case Call():
            yield from _argument(node)
            yield from _format(checked, node)
        case CreateList() if not is_free:
            elements = [
                (one, _held(checked.types[one.id], at in node.optional))
                for at, one in enumerate(node.elements)
            ]
            yield from list(_mixed(elements))[:1]
        case CreateMap() if not is_free:
            yield from _mixed([(one.key, checked.types[one.key.id]) for one in node.entries])
            yield from _mixed(
                [
                    (one.value, _held(checked.types[one.value.id], one.is_optional))
                    for one in node.entries
                ]
            )


def _held(one: Type, is_optional: bool) -> Type:
    return types.unwrapped(one)[0] if is_optional else one


def _mixed(elements: list[tuple[Node, Type]]) -> Iterator[Issue]:
    for node, one in elements[1:]:
        first = elements[0][1]
        if one != first:
            yield Issue(node.offset, f"expected type '{first}' but found '{one}'")


def _argument(node: Call) -> Iterator[Issue]:
    """Literals that conversions and patterns cannot read."""
    if not node.args or not isinstance(node.args[0], Literal):
        return
    literal = node.args[0]
    if not isinstance(literal.value, str) or _is_readable(node.function, literal.value):
        return
    yield Issue(literal.offset, f"invalid {node.function} argument")


def _is_readable(function: str, text: str) -> bool:
    try:
        match function:
            case "duration":
                parsed_duration(text)
            case "timestamp":
                parsed_timestamp(text)
            case "matches":
                patterns.compiled(text)
    except (EvaluationError, patterns.BadPattern):
        return False
    return True


def _format(checked: Checked, node: Call) -> Iterator[Issue]:
    """Clauses of a literal format against the elements of a literal list."""
    if node.function != _FORMAT or not isinstance(node.target, Literal):
        return
    if len(node.args) != 1 or not isinstance(node.args[0], CreateList):
        return
    args = node.args[0].elements
    found: list[Issue] = []

    def take(index: int, letter: str, places: int | None) -> None:
        if found:
            return
        one = checked.types[args[index].id]
        name = type_name(one) if one.kind != types.NULL_KIND else "null"
        if not one.is_dyn and one.name not in FITTING[letter.lower()]:
            text = f"error during formatting: {wrong_type(letter, name)}"
            found.append(Issue(args[index].offset, text))

    try:
        count = walk(str(node.target.value), len(args), take, _ignore)
    except EvaluationError as error:
        yield Issue(node.offset, str(error))
        return
    if found:
        yield found[0]
    elif len(args) > count:
        text = "too many arguments supplied to string.format"
        yield Issue(node.offset, f"{text} (expected {count}, got {len(args)})")


def _ignore(text: Any) -> None:
    """Only the clauses are looked at."""
