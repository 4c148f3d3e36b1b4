"""What an evaluation in progress holds, and what a compiled node is."""

from collections.abc import Callable
from typing import Any

from tiphys.cel.errors import CostLimitExceeded, EvaluationError


class Frame:
    """Variables, and what was spent of how much."""

    __slots__ = ("cost", "limit", "values")

    def __init__(self, values: dict[str, Any], limit: int) -> None:
        self.values = values
        self.limit = limit
        self.cost = 0

    def spend(self, cost: int) -> None:
        """Raises CostLimitExceeded."""
        self.cost += cost
        if self.cost > self.limit:
            raise CostLimitExceeded


Step = Callable[[Frame], Any]
"""A compiled node. Raises EvaluationError."""


def no_overload() -> EvaluationError:
    return EvaluationError("no such overload")
