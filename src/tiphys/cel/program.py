"""A checked expression as closures, compiled once and run often.

Every closure adds what it costs to its frame; loops and calls stop when the limit is passed.
Upstream: cel-go interpreter (planner.go, interpretable.go, runtimecost.go).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tiphys.cel import costs, syntax, types
from tiphys.cel.checker import Checked
from tiphys.cel.dispatch import call_step, chosen
from tiphys.cel.environment import Environment
from tiphys.cel.errors import CostLimitExceeded, EvaluationError
from tiphys.cel.frame import Frame, Step, no_overload
from tiphys.cel.loops import loop
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
from tiphys.cel.values import Optional, StructValue, is_constant_key

# Conversions of literals are done once, and cost nothing.
_CONVERSIONS: Final = frozenset({
    "bool", "bytes", "double", "duration", "int", "string", "timestamp", "uint",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """A value, or why there is none; in both cases what was spent."""

    value: Any
    cost: int
    error: EvaluationError | None = None


class Program:
    """Safe to run many times, and from one task at a time."""

    __slots__ = ("_step",)

    def __init__(self, step: Step) -> None:
        self._step = step

    def run(self, variables: Mapping[str, Any], limit: int = costs.CALL_LIMIT) -> Outcome:
        frame = Frame(dict(variables), limit)
        try:
            value = self._step(frame)
            if frame.cost > limit:
                raise CostLimitExceeded
        except EvaluationError as error:
            return Outcome(None, frame.cost, error)
        except (RecursionError, MemoryError):
            return Outcome(None, frame.cost, EvaluationError("expression is nested too deeply"))
        return Outcome(value, frame.cost)


def program(checked: Checked, environment: Environment) -> Program:
    return Program(_Compiler(checked, environment).step(checked.tree))


class _Compiler:
    def __init__(self, checked: Checked, environment: Environment) -> None:
        self._checked = checked
        self._environment = environment
        self._implementations = dict(environment.implementations)

    def step(self, node: Node) -> Step:
        match node:
            case Literal():
                return _constant(node.value)
            case Ident():
                return self._ident(node)
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case CreateList():
                return self._list(node)
            case CreateMap():
                return self._map(node)
            case CreateStruct():
                return self._struct(node)
            case Comprehension():
                return loop(node, self.step)
            case _:
                raise TypeError(f"not an expression: {node!r}")

    def _ident(self, node: Ident) -> Step:
        name = node.name.lstrip(".")
        found = self._environment.types.get(name)
        if found is not None and name not in self._environment.variables:
            return _type_name(name, found)
        return _variable(name)

    def _select(self, node: Select) -> Step:
        qualified = self._checked.overloads.get(node.id)
        if qualified is not None:
            found = self._environment.types.get(qualified[0])
            return _type_name(qualified[0], found) if found is not None else _variable(qualified[0])
        operand = self.step(node.operand)
        one, _ = types.unwrapped(self._checked.types[node.operand.id])
        key = self._environment.structs.key(one.name, node.field)
        return _has(operand, key) if node.is_test else _field(operand, key)

    # --- calls

    def _call(self, node: Call) -> Step:
        match node.function:
            case syntax.AND:
                return _logical(*map(self.step, node.args), decisive=False)
            case syntax.OR:
                return _logical(*map(self.step, node.args), decisive=True)
            case syntax.CONDITIONAL:
                condition, then, other = (self.step(arg) for arg in node.args)
                return _conditional(condition, then, other)
            case syntax.OPTIONAL_SELECT:
                return self._optional_select(node)
            case "or" | "orValue" if node.target is not None and self._is_optional(node.target):
                is_value = node.function == "orValue"
                return _or_else(self.step(node.target), self.step(node.args[0]), is_value)
            case _:
                return self._function(node)

    def _is_optional(self, node: Node) -> bool:
        found = self._checked.types[node.id]
        return found.is_optional or found.is_dyn

    def _optional_select(self, node: Call) -> Step:
        operand, name = node.args
        assert isinstance(name, Literal)
        one, _ = types.unwrapped(self._checked.types[operand.id])
        key = self._environment.structs.key(one.name, name.value)
        return _optional_field(self.step(operand), key)

    def _function(self, node: Call) -> Step:
        ids = self._checked.overloads[node.id]
        parts = [node.target, *node.args] if node.target is not None else node.args
        declared = self._environment.functions[node.function].overloads
        overloads = [one for one in declared if one.id in ids]
        arg_types = [self._checked.types[part.id] for part in parts]
        work = chosen(overloads, self._implementations, arg_types)
        step = call_step(node.function, ids, work, [self.step(part) for part in parts])
        if node.function in _CONVERSIONS and isinstance(parts[0], Literal):
            return _folded(step)
        return step

    # --- aggregates

    def _list(self, node: CreateList) -> Step:
        if all(isinstance(one, Literal) for one in node.elements) and not node.optional:
            return _constant([one.value for one in node.elements if isinstance(one, Literal)])
        elements = [(self.step(one), at in node.optional) for at, one in enumerate(node.elements)]
        return _new_list(elements)

    def _map(self, node: CreateMap) -> Step:
        entries = [
            (self.step(one.key), self.step(one.value), one.is_optional) for one in node.entries
        ]
        make = _new_map(entries)
        is_constant = all(
            isinstance(one.key, Literal) and isinstance(one.value, Literal) and not one.is_optional
            for one in node.entries
        )
        return _folded(make) if is_constant else make

    def _struct(self, node: CreateStruct) -> Step:
        fields = [(one.name, self.step(one.value), one.is_optional) for one in node.fields]
        return _new_struct(node.name, fields)


# --- closures


def _constant(value: Any) -> Step:
    return lambda frame: value


def _folded(step: Step) -> Step:
    """Evaluated once; an error stays one of the evaluation."""
    frame = Frame({}, costs.CALL_LIMIT)
    try:
        return _constant(step(frame))
    except EvaluationError:
        return step


def _type_name(name: str, found: Any) -> Step:
    def run(frame: Frame) -> Any:
        frame.cost += 1
        return found

    return run


def _variable(name: str) -> Step:
    def run(frame: Frame) -> Any:
        frame.cost += 1
        try:
            return frame.values[name]
        except KeyError:
            raise EvaluationError(f"no such attribute(s): {name}") from None

    return run


def _field(operand: Step, key: str) -> Step:
    def run(frame: Frame) -> Any:
        value = operand(frame)
        frame.cost += 1
        if isinstance(value, dict):
            try:
                return value[key]
            except KeyError:
                raise EvaluationError(f"no such key: {key}") from None
        if type(value) is Optional:
            return _within(value, key)
        raise EvaluationError(f"no such key: {key}")

    return run


def _within(one: Optional, key: str) -> Optional:
    """A field of what an optional holds, which is optional as well."""
    if not one.has_value:
        return one
    if isinstance(one.value, dict) and key in one.value:
        return Optional(one.value[key])
    return Optional(has_value=False)


def _optional_field(operand: Step, key: str) -> Step:
    def run(frame: Frame) -> Any:
        value = operand(frame)
        frame.cost += 1
        return _within(value if type(value) is Optional else Optional(value), key)

    return run


def _has(operand: Step, key: str) -> Step:
    def run(frame: Frame) -> bool:
        value = operand(frame)
        if type(value) is Optional:
            return _within(value, key).has_value
        if isinstance(value, dict):
            return key in value
        raise no_overload()

    return run


def _logical(left: Step, right: Step, *, decisive: bool) -> Step:
    """`||` where True decides, `&&` where False does, also over what went wrong on one side."""
    rest = not decisive

    def run(frame: Frame) -> Any:
        try:
            one = left(frame)
        except CostLimitExceeded:
            raise
        except EvaluationError as error:
            if right(frame) is decisive:
                return decisive
            raise error
        if one is decisive:
            return decisive
        other = right(frame)
        if other is decisive:
            return decisive
        if one is rest and other is rest:
            return rest
        raise no_overload()

    return run


def _conditional(condition: Step, then: Step, other: Step) -> Step:
    def run(frame: Frame) -> Any:
        found = condition(frame)
        if found is True:
            return then(frame)
        if found is False:
            return other(frame)
        raise no_overload()

    return run


def _or_else(target: Step, other: Step, is_value: bool) -> Step:
    """The alternative is looked at only where it is needed."""

    def run(frame: Frame) -> Any:
        one = target(frame)
        frame.cost += 1
        if type(one) is not Optional:
            raise no_overload()
        if one.has_value:
            return one.value if is_value else one
        return other(frame)

    return run


def _new_list(elements: list[tuple[Step, bool]]) -> Step:
    def run(frame: Frame) -> list[Any]:
        made: list[Any] = []
        for element, is_optional in elements:
            value = element(frame)
            if not is_optional:
                made.append(value)
            elif type(value) is not Optional:
                text = "cannot initialize optional list element from non-optional value"
                raise EvaluationError(f"{text} {value}")
            elif value.has_value:
                made.append(value.value)
        frame.spend(costs.LIST_COST)
        return made

    return run


def _entry_value(name: Any, value: Any) -> tuple[Any, bool]:
    """(the value, whether there is one). Raises EvaluationError."""
    if type(value) is not Optional:
        text = f"cannot initialize optional entry '{name}' from non-optional value {value}"
        raise EvaluationError(text)
    return value.value, value.has_value


def _new_map(entries: list[tuple[Step, Step, bool]]) -> Step:
    def run(frame: Frame) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key_step, value_step, is_optional in entries:
            key, value, has_value = key_step(frame), value_step(frame), True
            if not is_constant_key(key):
                raise EvaluationError(f"unsupported key type: {type(key).__name__}")
            if is_optional:
                value, has_value = _entry_value(key, value)
            if not has_value:
                continue
            if key in made:
                raise EvaluationError(f"Failed with repeated key: {key}")
            made[key] = value
        frame.spend(costs.MAP_COST)
        return made

    return run


def _new_struct(name: str, fields: list[tuple[str, Step, bool]]) -> Step:
    def run(frame: Frame) -> StructValue:
        made: dict[str, Any] = {}
        for field, value_step, is_optional in fields:
            value, has_value = value_step(frame), True
            if is_optional:
                value, has_value = _entry_value(field, value)
            if has_value:
                made[field] = value
        frame.spend(costs.STRUCT_COST)
        return StructValue(name, made)

    return run
