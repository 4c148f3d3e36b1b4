"""The rules of one place in a schema, compiled.

Imported with the first definition that has rules: what knows the language costs memory.
Upstream: apiextensions-apiserver pkg/apiserver/schema/cel/compilation.go.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tiphys.api.meta import Obj
from tiphys.cel import types
from tiphys.cel.environment import Environment, base
from tiphys.cel.errors import CompileError
from tiphys.cel.estimate import cost_of
from tiphys.cel.expression import Expression, compiled
from tiphys.cel.program import Program
from tiphys.cel.schema_types import (
    EMBEDDED,
    REQUEST_BYTES_MAX,
    SchemaStructs,
    SchemaType,
    named,
    schema_type,
)
from tiphys.cel.types import Type

RULES: Final = "x-kubernetes-validations"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """`error` and `message_error` say why there is no program; costs are the most they may be."""

    rule: Obj
    program: Program | None = None
    error: str = ""
    cost: int = 0
    uses_old: bool = False
    message: Program | None = None
    message_error: str = ""
    message_cost: int = 0


@dataclass(frozen=True, slots=True)
class CompiledRules:
    rules: tuple[CompiledRule, ...]
    count_max: int  # How often the place can be in one object, where no schema bounds it.


def compile_rules(schema: Obj, own_type: SchemaType) -> CompiledRules:
    """`own_type`: of the schema, without names for its objects."""
    # Names are new each time, as upstream's: nobody may rely on one.
    known_type, known = named(own_type, f"selfType{next(_numbers)}")
    environment = base().with_structs(SchemaStructs(known))
    rules = tuple(_compiled(rule, environment, known_type) for rule in schema.get(RULES) or ())
    return CompiledRules(rules, REQUEST_BYTES_MAX // (own_type.bytes_min + 1))


def _compiled(rule: Obj, environment: Environment, own: SchemaType) -> CompiledRule:
    if not (rule.get("rule") or "").strip():
        return CompiledRule(rule)
    old: Type = types.optional_of(own.type) if rule.get("optionalOldSelf") else own.type
    environment = environment.with_variables({"self": own.type, "oldSelf": old})
    try:
        found = compiled(rule["rule"], environment)
    except CompileError as error:
        return CompiledRule(rule, error=f"compilation failed: {error}")
    if found.result != types.BOOL:
        return CompiledRule(rule, error="cel expression must evaluate to a bool")
    made = CompiledRule(
        rule,
        program=found.program,
        cost=_cost(found, own),
        uses_old="oldSelf" in found.checked.names,
    )
    return _with_message(made, environment, own)


def _cost(found: Expression, own: SchemaType) -> int:
    return cost_of(found.checked, own.size_at).high


def _with_message(made: CompiledRule, environment: Environment, own: SchemaType) -> CompiledRule:
    text = made.rule.get("messageExpression") or ""
    if not text:
        return made
    try:
        found = compiled(text, environment)
    except CompileError as error:
        return replace(made, message_error=f"messageExpression compilation failed: {error}")
    if found.result != types.STRING:
        return replace(made, message_error="messageExpression must evaluate to a string")
    return replace(made, message=found.program, message_cost=_cost(found, own))


def root_type(schema: Obj) -> SchemaType | None:
    return schema_type(schema, is_root=True)


def type_within(schema: Obj) -> SchemaType | None:
    """Of a place that is no field of a type, as its name is none."""
    return schema_type(schema, is_root=bool(schema.get(EMBEDDED)))


Compile = Callable[[Obj, SchemaType], CompiledRules]
