"""Calls of functions: which overload it is, and what it costs.

Where types are known beforehand, the implementation is called as it is; otherwise the first
overload is taken whose arguments have the types of the values.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from tiphys.cel import costs, types
from tiphys.cel.declarations import Implementation, Overload
from tiphys.cel.errors import EvaluationError
from tiphys.cel.frame import Frame, Step, no_overload
from tiphys.cel.types import Type
from tiphys.cel.values import Duration, Optional, Timestamp, Uint

Guard = Callable[[Any], bool]
_CLASSES: Final[dict[str, type]] = {
    "bool": bool,
    "int": int,
    "uint": Uint,
    "double": float,
    "string": str,
    "bytes": bytes,
    types.NULL_KIND: type(None),
    types.TIMESTAMP_KIND: Timestamp,
    types.DURATION_KIND: Duration,
    types.TYPE_KIND: Type,
}


def _anything(value: Any) -> bool:
    return True


def _guard(one: Type) -> Guard:
    """Whether a value is of a type, as far as is seen from outside."""
    if one.kind in _CLASSES:
        wanted = _CLASSES[one.kind]
        return lambda value: type(value) is wanted
    if one.kind == types.LIST_KIND:
        return lambda value: isinstance(value, list)
    if one.kind == types.MAP_KIND:
        return lambda value: isinstance(value, dict)
    if one.is_optional:
        return _optional_guard(one.params[0])
    if one.kind in (types.OPAQUE_KIND, types.STRUCT_KIND):
        return lambda value: getattr(value, "cel_type", None) == one
    return _anything


def _optional_guard(inner: Type) -> Guard:
    fits = _guard(inner)
    return lambda value: type(value) is Optional and (not value.has_value or fits(value.value))


def _is_known(one: Type) -> bool:
    """Whether each value of the type is of it at run time too."""
    return not one.is_dyn and one != types.ERROR and one.kind != types.NULL_KIND


def chosen(
    overloads: Sequence[Overload],
    implementations: dict[str, Implementation],
    arg_types: Sequence[Type],
) -> Implementation:
    """One function for all overloads that the checker left. Raises EvaluationError when called."""
    if len(overloads) == 1 and all(
        _is_known(found) or wanted.kind == types.PARAM_KIND
        for found, wanted in zip(arg_types, overloads[0].args, strict=True)
    ):
        return implementations[overloads[0].id]
    table = [
        (tuple(_guard(one) for one in overload.args), implementations[overload.id])
        for overload in overloads
    ]

    if any(overload.id == "index_list" for overload in overloads):
        return _index(implementations, table)
    return _first_fitting(table)


_Table = list[tuple[tuple[Guard, ...], Implementation]]


def _index(implementations: dict[str, Implementation], table: _Table) -> Implementation:
    """Of a list with any number."""
    of_list, of_others = implementations["index_list"], _first_fitting(table)

    def call(target: Any, index: Any) -> Any:
        if isinstance(target, list):
            return of_list(target, index)
        return of_others(target, index)

    return call


def _first_fitting(table: _Table) -> Implementation:
    def call(*args: Any) -> Any:
        for guards, implementation in table:
            if all(guard(arg) for guard, arg in zip(guards, args, strict=True)):
                return implementation(*args)
        raise no_overload()

    return call


# What Python says of values that a function is not for.
_WRONG_TYPES: Final = (TypeError, AttributeError, ArithmeticError, LookupError, ValueError)


def call_step(
    function: str, overload_ids: Sequence[str], work: Implementation, args: Sequence[Step]
) -> Step:
    """A call with its cost. Wrong types that nobody saw before are a missing overload."""
    cost_of = costs.of_call(function, overload_ids)
    if cost_of is None:
        return _cheap(work, args)

    is_known_before = function not in costs.AFTERWARDS

    def call(frame: Frame) -> Any:
        values = [arg(frame) for arg in args]
        try:
            if is_known_before:
                frame.spend(cost_of(values, None))
                return work(*values)
            result = work(*values)
        except _WRONG_TYPES:
            raise no_overload() from None
        frame.spend(cost_of(values, result))
        return result

    return call


def _cheap(work: Implementation, args: Sequence[Step]) -> Step:
    """Calls of one unit."""
    if len(args) == 1:
        return _unary(work, args[0])
    if len(args) == 2:
        return _binary(work, args[0], args[1])

    def call(frame: Frame) -> Any:
        values = [arg(frame) for arg in args]
        frame.cost += 1
        try:
            return work(*values)
        except _WRONG_TYPES:
            raise no_overload() from None

    return call


def _unary(work: Implementation, arg: Step) -> Step:
    def call(frame: Frame) -> Any:
        value = arg(frame)
        frame.cost += 1
        try:
            return work(value)
        except _WRONG_TYPES:
            raise no_overload() from None

    return call


def _binary(work: Implementation, left: Step, right: Step) -> Step:
    def call(frame: Frame) -> Any:
        one, other = left(frame), right(frame)
        frame.cost += 1
        try:
            return work(one, other)
        except _WRONG_TYPES:
            raise no_overload() from None

    return call


__all__ = ["EvaluationError", "call_step", "chosen"]
