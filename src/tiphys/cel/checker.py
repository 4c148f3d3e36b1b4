"""Types of an expression and of all its parts, and which functions its calls mean.

Source: doc/langdef.md (Gradual Type Checking, Name Resolution); cel-go checker/checker.go.
"""

from dataclasses import dataclass, field
from typing import Final

from tiphys.cel import syntax, types
from tiphys.cel.declarations import Function, Overload
from tiphys.cel.environment import Environment
from tiphys.cel.errors import CompileError, Issue
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
from tiphys.cel.types import DYN, ERROR, Type
from tiphys.cel.unification import (
    Bindings,
    all_assignable,
    assignable,
    most_general,
    substituted,
)
from tiphys.cel.values import type_of

_LOGICAL: Final = (syntax.AND, syntax.OR)


@dataclass(slots=True)
class Checked:
    """A tree whose names are resolved, with what is known of its nodes, by their numbers."""

    source: str
    tree: Node
    types: dict[int, Type]
    overloads: dict[int, tuple[str, ...]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)  # Variables that are spoken of.

    @property
    def result(self) -> Type:
        return self.types[self.tree.id]


def check(source: str, tree: Node, environment: Environment) -> Checked:
    """Raises CompileError with all that is wrong."""
    checker = _Checker(source, tree, environment)
    checker.check(tree)
    checked = checker.checked
    bound = checker.bound
    checked.types = {
        number: substituted(bound, one, to_dyn=True) for number, one in checked.types.items()
    }
    if checker.issues:
        raise CompileError(source, checker.issues)
    return checked


class _Checker:
    def __init__(self, source: str, tree: Node, environment: Environment) -> None:
        self._environment = environment
        self.checked = Checked(source, tree, {})
        self.issues: list[Issue] = []
        self.bound: Bindings = {}
        self._parameters = 0
        self._scopes: list[dict[str, Type]] = []

    # --- small words

    def _issue(self, node: Node, text: str) -> None:
        self.issues.append(Issue(node.offset, text))

    def _set(self, node: Node, one: Type) -> None:
        self.checked.types[node.id] = one

    def _type(self, node: Node) -> Type:
        return self.checked.types[node.id]

    def _known(self, one: Type) -> Type:
        return substituted(self.bound, one, to_dyn=False)

    def _parameter(self) -> Type:
        self._parameters += 1
        return types.param(f"_var{self._parameters - 1}")

    def _assignable(self, one: Type, other: Type) -> bool:
        bound = dict(self.bound)
        if not assignable(bound, one, other):
            return False
        self.bound = bound
        return True

    def _mismatch(self, node: Node, wanted: Type, found: Type) -> None:
        self._issue(node, f"expected type '{wanted}' but found '{found}'")

    def _undeclared(self, node: Node, name: str) -> None:
        self._issue(node, f"undeclared reference to '{name}' (in container '')")
        self._set(node, ERROR)

    # --- nodes

    def check(self, node: Node) -> None:
        match node:
            case Literal():
                self._set(node, type_of(node.value))
            case Ident():
                self._ident(node)
            case Select():
                self._select(node)
            case Call():
                self._call(node)
            case CreateList():
                self._list(node)
            case CreateMap():
                self._map(node)
            case CreateStruct():
                self._struct(node)
            case Comprehension():
                self._loop(node)

    def _found(self, name: str) -> Type | None:
        """The type of a variable, or of a type's own name."""
        if not name.startswith("."):
            for scope in reversed(self._scopes):
                if name in scope:
                    return scope[name]
        name = name.lstrip(".")
        if name in self._environment.variables:
            self.checked.names.add(name)
            return self._environment.variables[name]
        named = self._environment.types.get(name)
        return types.type_of(named) if named is not None else None

    def _ident(self, node: Ident) -> None:
        found = self._found(node.name)
        if found is None:
            self._undeclared(node, node.name)
        else:
            self._set(node, found)

    def _qualified(self, node: Node) -> str:
        """`a.b.c` as a name; empty where it is something else."""
        names: list[str] = []
        while isinstance(node, Select) and not node.is_test:
            names.append(node.field)
            node = node.operand
        if not isinstance(node, Ident) or any(node.name in scope for scope in self._scopes):
            return ""
        return ".".join([node.name, *reversed(names)])

    def _select(self, node: Select) -> None:
        name = "" if node.is_test else self._qualified(node)
        found = self._found(name) if name else None
        if found is not None:
            self._set(node, found)
            self.checked.overloads[node.id] = (name.lstrip("."),)
            return
        result = self._field(node, node.operand, node.field, is_optional=False)
        self._set(node, types.BOOL if node.is_test else self._known(result))

    def _field(self, node: Node, operand: Node, name: str, *, is_optional: bool) -> Type:
        self.check(operand)
        target, was_optional = types.unwrapped(self._known(self._type(operand)))
        result = ERROR
        match target.kind:
            case types.MAP_KIND:
                result = target.params[1]
            case types.STRUCT_KIND:
                result = self._field_type(node, target.name, name) or ERROR
            case types.PARAM_KIND:
                self._assignable(DYN, target)
                result = DYN
            case _:
                if not target.is_dyn and target != ERROR:
                    self._issue(node, f"type '{target}' does not support field selection")
                result = DYN
        return types.optional_of(result) if was_optional or is_optional else result

    def _field_type(self, node: Node, struct: str, name: str) -> Type | None:
        fields = self._environment.structs.fields(struct)
        found = fields.get(name) if fields is not None else None
        if found is None:
            self._issue(node, f"undefined field '{name}'")
        return found

    # --- calls

    def _call(self, node: Call) -> None:
        if node.function == syntax.OPTIONAL_SELECT:
            operand, name = node.args
            assert isinstance(name, Literal)
            result = self._field(node, operand, name.value, is_optional=True)
            self._set(node, self._known(result))
            self.checked.overloads[node.id] = ("select_optional_field",)
            self.check(name)
            return
        for arg in node.args:
            self.check(arg)
        function = self._function(node)
        if function is None:
            self._undeclared(node, node.function)
        else:
            self._resolve(node, function)

    def _function(self, node: Call) -> Function | None:
        functions = self._environment.functions
        if node.target is None:
            node.function = node.function.lstrip(".")
            return functions.get(node.function)
        prefix = self._qualified(node.target)
        qualified = functions.get(f"{prefix}.{node.function}".lstrip(".")) if prefix else None
        if qualified is not None:
            node.function, node.target = qualified.name, None
            return qualified
        self.check(node.target)
        return functions.get(node.function)

    def _resolve(self, node: Call, function: Function) -> None:
        parts = [node.target, *node.args] if node.target is not None else list(node.args)
        args = [self._type(part) for part in parts]
        if function.name in _LOGICAL:
            self._logical(node, function, args)
            return
        matched: list[str] = []
        result: Type | None = None
        for overload in function.overloads:
            if overload.is_member != (node.target is not None):
                continue
            own = self._matched(overload, args)
            if own is None:
                continue
            matched.append(overload.id)
            if result is None:
                result = own
            elif not result.is_dyn and own != result:
                result = DYN
        if result is None:
            self._no_overload(node, function, args)
            return
        self.checked.overloads[node.id] = tuple(matched)
        self._set(node, result)

    def _matched(self, overload: Overload, args: list[Type]) -> Type | None:
        """The type of the result, where the arguments fit."""
        wanted, result = overload.args, overload.result
        if overload.params:
            fresh = {name: self._parameter() for name in overload.params}
            wanted = tuple(substituted(fresh, one, to_dyn=False) for one in wanted)
            result = substituted(fresh, result, to_dyn=False)
        bound = dict(self.bound)
        if not all_assignable(bound, args, wanted):
            return None
        self.bound = bound
        return self._known(result)

    def _logical(self, node: Call, function: Function, args: list[Type]) -> None:
        result = types.BOOL
        for arg, one in zip(node.args, args, strict=True):
            if not self._assignable(one, types.BOOL):
                self._mismatch(arg, types.BOOL, one)
                result = ERROR
        self._set(node, result)
        self.checked.overloads[node.id] = (function.overloads[0].id,)

    def _no_overload(self, node: Call, function: Function, args: list[Type]) -> None:
        shown = [str(substituted(self.bound, one, to_dyn=True)) for one in args]
        target = f"{shown.pop(0)}." if node.target is not None else ""
        signature = f"{target}({', '.join(shown)})"
        text = f"found no matching overload for '{function.name}' applied to '{signature}'"
        self._issue(node, text)
        self._set(node, ERROR)

    # --- aggregates

    def _optional_value(self, node: Node, is_optional: bool) -> Type:
        """What an element, or an optional element, holds."""
        found = self._type(node)
        if not is_optional:
            return found
        inner, was_optional = types.unwrapped(found)
        if not was_optional and not inner.is_dyn:
            self._mismatch(node, types.optional_of(inner), inner)
        return inner

    def _joined(self, node: Node, before: Type | None, current: Type) -> Type:
        """Literals have elements of one type: cel.HomogeneousAggregateLiterals."""
        if before is None:
            return current
        if self._assignable(before, current):
            return most_general(before, current)
        self._mismatch(node, before, current)
        return ERROR

    def _list(self, node: CreateList) -> None:
        element: Type | None = None
        for index, one in enumerate(node.elements):
            self.check(one)
            found = self._optional_value(one, index in node.optional)
            element = self._joined(one, element, found)
        self._set(node, types.list_of(element or self._parameter()))

    def _map(self, node: CreateMap) -> None:
        key: Type | None = None
        value: Type | None = None
        for entry in node.entries:
            self.check(entry.key)
            key = self._joined(entry.key, key, self._type(entry.key))
            self.check(entry.value)
            found = self._optional_value(entry.value, entry.is_optional)
            value = self._joined(entry.value, value, found)
        self._set(node, types.map_of(key or self._parameter(), value or self._parameter()))

    def _struct(self, node: CreateStruct) -> None:
        name = node.name.lstrip(".")
        if self._environment.structs.fields(name) is None:
            self._undeclared(node, node.name)
            return
        node.name = name
        self._set(node, types.struct(name))
        for one in node.fields:
            self.check(one.value)
            wanted = self._field_type(one, name, one.name) or ERROR
            found = self._optional_value(one.value, one.is_optional)
            if not self._assignable(wanted, found):
                text = f"expected type of field '{one.name}' is '{wanted}' but provided type is"
                self._issue(one, f"{text} '{self._known(found)}'")

    def _loop(self, node: Comprehension) -> None:
        self.check(node.range)
        self.check(node.start)
        first, second = self._loop_variables(node, self._known(self._type(node.range)))
        accumulated = self._type(node.start)
        self._scopes.append({node.accumulator: accumulated})
        inner = {node.variable: first}
        if node.variable2:
            inner[node.variable2] = second
        self._scopes.append(inner)
        self.check(node.condition)
        self._assert(node.condition, types.BOOL)
        self.check(node.step)
        self._assert(node.step, accumulated)
        self._scopes.pop()
        self.check(node.result)
        self._scopes.pop()
        self._set(node, self._known(self._type(node.result)))

    def _loop_variables(self, node: Comprehension, over: Type) -> tuple[Type, Type]:
        has_two = bool(node.variable2)
        match over.kind:
            case types.LIST_KIND:
                return (types.INT, over.params[0]) if has_two else (over.params[0], DYN)
            case types.MAP_KIND:
                return over.params[0], over.params[1]
            case types.DYN_KIND | types.ERROR_KIND | types.PARAM_KIND:
                self._assignable(DYN, over)
                return DYN, DYN
            case _:
                text = "cannot be range of a comprehension (must be list, map, or dynamic)"
                self._issue(node.range, f"expression of type '{over}' {text}")
                return ERROR, ERROR

    def _assert(self, node: Node, wanted: Type) -> None:
        if not self._assignable(wanted, self._type(node)):
            self._mismatch(node, wanted, self._type(node))
