"""From a text to a program: all steps of compiling one expression.

Raises CompileError wherever it is not valid; its text is complete.
"""

from dataclasses import dataclass

from tiphys.cel.checker import Checked, check
from tiphys.cel.environment import Environment
from tiphys.cel.errors import CompileError, Issue
from tiphys.cel.literal_checks import check_literals
from tiphys.cel.parser import NESTING_MAX, parse
from tiphys.cel.program import Program, program
from tiphys.cel.types import Type


@dataclass(frozen=True, slots=True)
class Expression:
    checked: Checked
    program: Program

    @property
    def result(self) -> Type:
        return self.checked.result


def compiled(source: str, environment: Environment) -> Expression:
    """Raises CompileError."""
    try:
        checked = check(source, parse(source, has_bind=environment.has_bind), environment)
        check_literals(checked, environment)
        return Expression(checked, program(checked, environment))
    except RecursionError:
        text = f"expression recursion limit exceeded: {NESTING_MAX}"
        raise CompileError("", [Issue(0, text)]) from None
