"""Evaluating expressions of a policy: they share a budget, and variables are looked at once.

Upstream: apiserver/pkg/admission/plugin/cel (activation.go Evaluate, composition.go).
"""

from collections.abc import Mapping
from typing import Any, Final

from tiphys.apiserver.policies.compiling import Compiled
from tiphys.cel import costs
from tiphys.cel.errors import EvaluationError
from tiphys.cel.program import Outcome

_EXHAUSTED: Final = (
    "validation failed due to running out of cost budget, no further validation rules will be run"
)


class BudgetExhausted(Exception):
    """No further expression of the policy is evaluated."""

    def __init__(self) -> None:
        super().__init__(_EXHAUSTED)


class ExpressionError(Exception):
    """An expression has no value; the text says which and why."""


class Evaluation:
    """All expressions of one policy for one request."""

    def __init__(self, known: Mapping[str, Any], variables: Mapping[str, Compiled]) -> None:
        self._known = dict(known)
        self._known["variables"] = _Variables(self, variables)
        self._budget = costs.REQUEST_LIMIT

    def with_budget(self, budget: int) -> None:
        self._budget = budget

    def value(self, expression: Compiled) -> Any:
        """Raises BudgetExhausted, ExpressionError."""
        if expression.program is None:
            raise ExpressionError(f"compilation error: {expression.error}")
        outcome = self.run(expression)
        if outcome.error is not None:
            text = f"expression '{expression.source}' resulted in error: {outcome.error}"
            raise ExpressionError(text)
        return outcome.value

    def run(self, expression: Compiled) -> Outcome:
        """Raises BudgetExhausted."""
        assert expression.program is not None
        outcome = expression.program.run(self._known)
        if outcome.cost > self._budget:
            raise BudgetExhausted
        self._budget -= outcome.cost
        return outcome


class _Variables(dict[str, Any]):
    """A policy's variables; each is evaluated when it is first spoken of."""

    def __init__(self, evaluation: Evaluation, variables: Mapping[str, Compiled]) -> None:
        super().__init__()
        self._evaluation = evaluation
        self._variables = variables
        self._found: dict[str, Outcome] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._variables

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = self._evaluated(name)
        outcome = self._found[name]
        if outcome.error is not None:
            text = f'composited variable "{name}" fails to evaluate: {outcome.error}'
            raise EvaluationError(text)
        return outcome.value

    def _evaluated(self, name: str) -> Outcome:
        expression = self._variables[name]
        if expression.program is None:
            return Outcome(None, 0, EvaluationError(expression.error))
        return self._evaluation.run(expression)
