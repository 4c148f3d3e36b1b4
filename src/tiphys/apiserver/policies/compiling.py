"""Expressions of policies, compiled, with upstream's words for those that are not valid.

Upstream: apiserver/pkg/admission/plugin/cel/compile.go, composition.go.
"""

from dataclasses import dataclass
from typing import Final

from tiphys.cel import types
from tiphys.cel.environment import Environment
from tiphys.cel.errors import CompileError
from tiphys.cel.expression import compiled
from tiphys.cel.policy_environment import (
    JSON_PATCH,
    OBJECT,
    policy_environment,
    variable_type,
)
from tiphys.cel.program import Program
from tiphys.cel.types import DYN, Type
from tiphys.cel.values import type_name

BOOL: Final = (types.BOOL,)
STRING: Final = (types.STRING,)
STRING_OR_NULL: Final = (types.STRING, types.NULL)
ANYTHING: Final[tuple[Type, ...]] = ()
APPLY: Final = (types.struct(OBJECT),)
PATCH: Final = (types.list_of(types.struct(JSON_PATCH)),)


@dataclass(frozen=True, slots=True)
class Compiled:
    """`error` says why there is no program."""

    source: str
    program: Program | None = None
    result: Type = DYN
    error: str = ""


def compile_expression(source: str, environment: Environment, wanted: tuple[Type, ...]) -> Compiled:
    try:
        found = compiled(source, environment)
    except CompileError as error:
        return Compiled(source, error=f"compilation failed: {error}")
    if wanted and found.result not in wanted:
        return Compiled(
            source, error=f"must evaluate to {_told(wanted)} but got {_name(found.result)}"
        )
    return Compiled(source, found.program, found.result)


def _told(wanted: tuple[Type, ...]) -> str:
    names = " ".join(_name(one) for one in wanted)
    return names if len(wanted) == 1 else f"one of [{names}]"


def _name(one: Type) -> str:
    return str(one) if one.params else type_name(one)


class PolicyCompiler:
    """Compiles the expressions of one policy, its variables first."""

    def __init__(self, *, has_params: bool, has_variables: bool) -> None:
        self._has_params = has_params
        self._variables: dict[str, Type] | None = {} if has_variables else None

    def condition(self, source: str) -> Compiled:
        """A match condition, which knows no variables of the policy."""
        return compile_expression(source, policy_environment(has_params=self._has_params), BOOL)

    def variable(self, name: str, source: str) -> Compiled:
        """What comes behind it may speak of it."""
        found = compile_expression(source, self._environment(), ANYTHING)
        if self._variables is not None:
            self._variables[name] = DYN if found.error else variable_type(found.result)
        return found

    def validation(self, source: str) -> Compiled:
        return compile_expression(source, self._environment(), BOOL)

    def message(self, source: str) -> Compiled:
        return compile_expression(source, self._environment(has_authorizer=False), STRING)

    def annotation(self, source: str) -> Compiled:
        return compile_expression(source, self._environment(), STRING_OR_NULL)

    def mutation(self, source: str, wanted: tuple[Type, ...]) -> Compiled:
        return compile_expression(source, self._environment(has_patches=True), wanted)

    def _environment(
        self, *, has_authorizer: bool = True, has_patches: bool = False
    ) -> Environment:
        return policy_environment(
            has_params=self._has_params,
            has_authorizer=has_authorizer,
            variables=self._variables,
            has_patches=has_patches,
        )
