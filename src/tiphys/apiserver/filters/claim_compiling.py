"""What the parts of an issuer's entry share: its expressions, and what is wrong with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from tiphys.api.field_errors import FieldError, invalid

Claims: TypeAlias = Mapping[str, Any]
Evaluate: TypeAlias = Callable[[Any], Any]
"""An expression's value; raises NoUser."""
BOTH: Final = "claim and expression can't both be set"


class NoUser(Exception):
    """The token makes nobody: why."""


@dataclass
class Compiling:
    """Expressions of one issuer, and what is wrong with its entry."""

    errors: list[FieldError] = field(default_factory=list)

    def of(
        self, variable: Literal["claims", "user"], text: str, path: str, *, is_rule: bool = False
    ) -> Evaluate:
        from tiphys.apiserver.filters.claim_expressions import CompileError, evaluator

        try:
            return evaluator(variable, text, is_rule=is_rule)
        except CompileError as error:
            self.errors.append(invalid(path, text, str(error)))
            return _nobody


def _nobody(value: Any) -> Any:
    raise NoUser("the expression is not valid")
