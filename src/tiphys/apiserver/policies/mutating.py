"""What a MutatingAdmissionPolicy makes of an object.

Upstream: apiserver/pkg/admission/plugin/policy/mutating (compilation.go, dispatcher.go).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tiphys.api.meta import Obj
from tiphys.apiserver.policies.budget import BudgetExhausted, Evaluation, ExpressionError
from tiphys.apiserver.policies.compiling import APPLY, PATCH, Compiled, PolicyCompiler
from tiphys.apiserver.policies.conditions import are_met
from tiphys.apiserver.policies.patches import (
    PatchRefused,
    apply_configuration,
    apply_json_patch,
)
from tiphys.cel import costs
from tiphys.codec.fields.shape import Shape
from tiphys.codec.typed import DecodeError


@dataclass(frozen=True, slots=True)
class Kind:
    """What is patched. `completed` makes a whole object of a patched one, with its defaults."""

    shape: Shape
    completed: Callable[[Obj], Obj]


class PolicyError(Exception):
    """An expression has no value, or its patch cannot be applied."""


class MutatingPolicy:
    """A policy, compiled."""

    def __init__(self, policy: Obj) -> None:
        spec = policy["spec"]
        self.obj = policy
        self.name: str = policy["metadata"]["name"]
        self.ignores_errors = spec.get("failurePolicy") == "Ignore"
        self.is_reinvocable = spec.get("reinvocationPolicy") == "IfNeeded"
        compiler = PolicyCompiler(has_params=spec.get("paramKind") is not None, has_variables=True)
        self._variables = {
            one["name"]: compiler.variable(one["name"], one["expression"])
            for one in spec.get("variables") or ()
        }
        self._conditions = [
            compiler.condition(one["expression"]) for one in spec.get("matchConditions") or ()
        ]
        self.mutations = [_mutation(one, compiler) for one in spec["mutations"]]

    def is_asked(self, known: Mapping[str, Any]) -> bool:
        """Whether its conditions are met. Raises PolicyError."""
        evaluation = Evaluation(known, self._variables)
        evaluation.with_budget(costs.MATCH_LIMIT)
        try:
            return are_met(self._conditions, evaluation)
        except (ExpressionError, BudgetExhausted) as error:
            raise PolicyError(str(error)) from None

    def patched(self, mutation: Compiled, known: Mapping[str, Any], obj: Obj, kind: Kind) -> Obj:
        """Raises PolicyError, also where a patch makes something else of the object."""
        try:
            made = Evaluation(known, self._variables).value(mutation)
            if isinstance(made, list):
                return kind.completed(apply_json_patch(obj, made))
            return kind.completed(apply_configuration(kind.shape, obj, made))
        except (ExpressionError, BudgetExhausted, PatchRefused, DecodeError) as error:
            raise PolicyError(str(error)) from None


def _mutation(mutation: Obj, compiler: PolicyCompiler) -> Compiled:
    if mutation["patchType"] == "JSONPatch":
        return compiler.mutation(mutation["jsonPatch"]["expression"], PATCH)
    return compiler.mutation(mutation["applyConfiguration"]["expression"], APPLY)
