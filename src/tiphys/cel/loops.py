"""Comprehensions: the loops that macros become.

The two kinds that everybody uses run without the tree that the macro made, at the same cost: those
that look for an element, and those that gather a list.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from tiphys.cel import costs, syntax
from tiphys.cel.errors import CostLimitExceeded, EvaluationError
from tiphys.cel.frame import Frame, Step, no_overload
from tiphys.cel.syntax import Call, Comprehension, CreateList, CreateMap, Ident, Literal, Node

Compile = Callable[[Node], Step]
_MISSING: Final = object()
# Of a round: what looks at the result, before it is decided whether to go on.
_ALL_ROUND, _EXISTS_ROUND = 2, 3


def loop(node: Comprehension, compile_node: Compile) -> Step:
    if not _is_macro(node):
        return _bound(node, compile_node)
    if isinstance(node.condition, Call) and isinstance(node.step, Call):
        return _quantifier(node, compile_node)
    return _gathering(node, compile_node)


def _is_macro(node: Comprehension) -> bool:
    return node.accumulator == syntax.RESULT


def _bound(node: Comprehension, compile_node: Compile) -> Step:
    """A name for a value: the loop itself is empty."""
    start, result, name = compile_node(node.start), compile_node(node.result), node.accumulator
    over = compile_node(node.range)

    def run(frame: Frame) -> Any:
        over(frame)
        values = frame.values
        saved = values.get(name, _MISSING)
        values[name] = start(frame)
        try:
            return result(frame)
        finally:
            _restore(values, name, saved)

    return run


def _restore(values: dict[str, Any], name: str, saved: Any) -> None:
    if saved is _MISSING:
        values.pop(name, None)
    else:
        values[name] = saved


def _rounds(node: Comprehension) -> Callable[[Frame, Any], Iterator[None]]:
    """Sets the loop's variables for each round, and what they were before at the end."""
    first, second = node.variable, node.variable2

    def one(frame: Frame, over: Any) -> Iterator[None]:
        values = frame.values
        saved = values.get(first, _MISSING)
        try:
            for item in _iterable(over):
                values[first] = item
                yield
        finally:
            _restore(values, first, saved)

    def two(frame: Frame, over: Any) -> Iterator[None]:
        values = frame.values
        saved, saved2 = values.get(first, _MISSING), values.get(second, _MISSING)
        pairs = enumerate(over) if isinstance(over, list) else _iterable(over, pairs=True)
        try:
            for key, value in pairs:
                values[first], values[second] = key, value
                yield
        finally:
            _restore(values, first, saved)
            _restore(values, second, saved2)

    return two if second else one


def _iterable(over: Any, *, pairs: bool = False) -> Any:
    if isinstance(over, dict):
        return list(over.items()) if pairs else list(over)
    if isinstance(over, list) and not pairs:
        return over
    raise no_overload()


def _quantifier(node: Comprehension, compile_node: Compile) -> Step:
    """all() and exists(). An error counts only where no element decides."""
    assert isinstance(node.step, Call)
    over, predicate = compile_node(node.range), compile_node(node.step.args[1])
    decisive = node.step.function == syntax.OR
    round_cost = _EXISTS_ROUND if decisive else _ALL_ROUND
    rounds = _rounds(node)

    def run(frame: Frame) -> bool:
        error: EvaluationError | None = None
        is_decided = False
        for _ in rounds(frame, over(frame)):
            frame.spend(round_cost)
            if is_decided:
                break
            frame.cost += 1
            try:
                found = predicate(frame)
                if found is decisive:
                    is_decided = True
                elif type(found) is not bool:
                    error = no_overload()
            except CostLimitExceeded:
                raise
            except EvaluationError as failure:
                error = failure
        frame.spend(1)
        if is_decided:
            return decisive
        if error is not None:
            raise error
        return not decisive

    return run


def _gathering(node: Comprehension, compile_node: Compile) -> Step:
    """What begins empty and grows: an error ends it."""
    over, result = compile_node(node.range), compile_node(node.result)
    start = _start(node.start, compile_node)
    step = _step(node.step, compile_node)
    rounds = _rounds(node)

    def run(frame: Frame) -> Any:
        values = frame.values
        saved = values.get(syntax.RESULT, _MISSING)
        gathered = over(frame)
        accumulated = start(frame)
        try:
            for _ in rounds(frame, gathered):
                values[syntax.RESULT] = accumulated
                accumulated = step(frame)
                if frame.cost > frame.limit:
                    raise CostLimitExceeded
            values[syntax.RESULT] = accumulated
            return result(frame)
        finally:
            _restore(values, syntax.RESULT, saved)

    return run


def _start(node: Node, compile_node: Compile) -> Step:
    """Lists and maps are the loop's own: it changes them in place."""
    if isinstance(node, CreateList):
        return _fresh(list, costs.LIST_COST)
    if isinstance(node, CreateMap):
        return _fresh(dict, costs.MAP_COST)
    return compile_node(node)


def _fresh(kind: Callable[[], Any], cost: int) -> Step:
    def run(frame: Frame) -> Any:
        frame.cost += cost
        return kind()

    return run


def _step(node: Node, compile_node: Compile) -> Step:
    if isinstance(node, Call) and node.function == syntax.CONDITIONAL:
        condition, inner = compile_node(node.args[0]), _step(node.args[1], compile_node)
        return _when(condition, inner)
    if (
        isinstance(node, Call)
        and node.function == syntax.ADD
        and isinstance(node.args[0], Ident)
        and isinstance(node.args[1], CreateList)
    ):
        return _append(compile_node(node.args[1].elements[0]))
    return compile_node(node)


def _when(condition: Step, inner: Step) -> Step:
    def run(frame: Frame) -> Any:
        # The result is looked up by what adds to it: a filter's own test must not see it changed.
        accumulated = frame.values[syntax.RESULT]
        found = condition(frame)
        frame.values[syntax.RESULT] = accumulated
        if found is True:
            return inner(frame)
        if found is not False:
            raise no_overload()
        frame.cost += 1
        return accumulated

    return run


def _append(element: Step) -> Step:
    """Of the result, the new list and the sum of both."""

    def run(frame: Frame) -> Any:
        accumulated = frame.values[syntax.RESULT]
        accumulated.append(element(frame))
        frame.values[syntax.RESULT] = accumulated
        frame.cost += 1 + costs.LIST_COST + 1
        return accumulated

    return run


__all__ = ["Literal", "loop"]
