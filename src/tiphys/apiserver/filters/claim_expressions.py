"""Expressions over `claims` or `user`. Imported with the first of them: the language costs memory.

Upstream: apiserver pkg/authentication/cel (compile.go).
"""

from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from typing import Any, Final
from typing import Literal as OneOf

from tiphys.apiserver.filters.claim_compiling import NoUser
from tiphys.cel import errors as cel_errors
from tiphys.cel import syntax, types
from tiphys.cel.environment import Environment, Structs, base
from tiphys.cel.expression import compiled
from tiphys.cel.syntax import Call, Ident, Literal, Node, Select
from tiphys.cel.types import ANY, STRING, list_of, map_of, struct

_USER: Final = "kubernetes.UserInfo"


class CompileError(ValueError):
    """Why the text is no expression that may stand there."""


def evaluator(
    variable: OneOf["claims", "user"], text: str, *, is_rule: bool
) -> Callable[[Any], Any]:
    """Raises CompileError; what it returns raises NoUser."""
    try:
        found = compiled(text, _environment(variable))
    except cel_errors.CompileError as error:
        raise CompileError(f"compilation failed: {error}") from None
    if is_rule and found.result != types.BOOL:
        raise CompileError("must evaluate to bool")

    def evaluate(value: Any) -> Any:
        outcome = found.program.run({variable: value})
        if outcome.error is not None:
            raise NoUser(str(outcome.error))
        return outcome.value

    return evaluate


def speaks_of(text: str, claim: str) -> bool:
    """Whether the expression reads that claim; one that is not valid reads none."""
    try:
        tree = compiled(text, _environment("claims")).checked.tree
    except cel_errors.CompileError:
        return False
    return _reads(tree, claim)


def _reads(node: Any, claim: str) -> bool:
    """`claims.x` or `claims.?x` anywhere in it."""
    match node:
        case list():
            return any(_reads(one, claim) for one in node)
        case Select(operand=Ident(name="claims"), field=found) if found == claim:
            return True
        case Call(
            function=syntax.OPTIONAL_SELECT, args=[Ident(name="claims"), Literal(value=found)]
        ) if found == claim:
            return True
        case Node():
            return any(_reads(getattr(node, f.name), claim) for f in fields(node))
    return False


@lru_cache(maxsize=2)
def _environment(variable: OneOf["claims", "user"]) -> Environment:
    if variable == "claims":
        return base().with_variables({"claims": map_of(STRING, ANY)})
    known = {
        "username": STRING,
        "uid": STRING,
        "groups": list_of(STRING),
        "extra": map_of(STRING, list_of(STRING)),
    }
    return base().with_variables({"user": struct(_USER)}).with_structs(Structs({_USER: known}))
