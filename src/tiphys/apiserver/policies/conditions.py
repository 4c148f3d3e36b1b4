"""Match conditions: whether a policy is asked at all.

Upstream: apiserver/pkg/admission/plugin/webhook/matchconditions/matcher.go.
"""

from collections.abc import Sequence

from tiphys.apiserver.policies.budget import Evaluation, ExpressionError
from tiphys.apiserver.policies.compiling import Compiled


def are_met(conditions: Sequence[Compiled], evaluation: Evaluation) -> bool:
    """One that is false decides, whatever others say. Raises ExpressionError, BudgetExhausted."""
    errors: list[str] = []
    for condition in conditions:
        try:
            if evaluation.value(condition) is False:
                return False
        except ExpressionError as error:
            errors.append(str(error))
    if errors:
        raise ExpressionError(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
    return True
