"""What a ValidatingAdmissionPolicy says of a request.

Upstream: apiserver/pkg/admission/plugin/policy/validating (validator.go, plugin.go).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tiphys.api.meta import Obj
from tiphys.apiserver.policies.budget import BudgetExhausted, Evaluation, ExpressionError
from tiphys.apiserver.policies.compiling import Compiled, PolicyCompiler
from tiphys.apiserver.policies.conditions import are_met
from tiphys.cel import costs

MESSAGE_BYTES_MAX: Final = 5 * 1024  # apis/cel/config.go MaxEvaluatedMessageExpressionSizeBytes
ANNOTATION_BYTES_MAX: Final = 10 * 1024  # maxAuditAnnotationValueLength


@dataclass(frozen=True, slots=True)
class Failure:
    """A validation that refuses: what to say, as which reason; `index`: of the validation."""

    message: str
    reason: str = ""
    index: int = 0


@dataclass(slots=True)
class Findings:
    """`denials` refuse whatever a binding says."""

    failures: list[Failure] = field(default_factory=list)
    denials: list[Failure] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)


class ValidatingPolicy:
    """A policy, compiled."""

    def __init__(self, policy: Obj) -> None:
        spec = policy["spec"]
        self.obj = policy
        self.name: str = policy["metadata"]["name"]
        self.ignores_errors = spec.get("failurePolicy") == "Ignore"
        self._spec = spec
        compiler = PolicyCompiler(has_params=spec.get("paramKind") is not None, has_variables=True)
        self._conditions = [
            compiler.condition(one["expression"]) for one in spec.get("matchConditions") or ()
        ]
        self._variables = {
            one["name"]: compiler.variable(one["name"], one["expression"])
            for one in spec.get("variables") or ()
        }
        validations = spec.get("validations") or []
        self._validations = [compiler.validation(one["expression"]) for one in validations]
        self._messages = [
            compiler.message(told) if (told := one.get("messageExpression")) else None
            for one in validations
        ]
        self._annotations = {
            one["key"]: compiler.annotation(one["valueExpression"].strip())
            for one in spec.get("auditAnnotations") or ()
        }

    def check(self, known: Mapping[str, Any]) -> Findings:
        """`known`: the variables of the request, with `params` where the policy has any."""
        found = Findings()
        try:
            self._check(known, found)
        except (ExpressionError, BudgetExhausted) as error:
            found = Findings()  # Whatever was found before does not count.
            self._error(found, str(error))
        return found

    def _error(self, found: Findings, text: str, index: int = 0) -> None:
        if not self.ignores_errors:
            found.failures.append(Failure(text, index=index))

    def _check(self, known: Mapping[str, Any], found: Findings) -> None:
        evaluation = Evaluation(known, self._variables)
        evaluation.with_budget(costs.MATCH_LIMIT)
        if not are_met(self._conditions, evaluation):
            return
        evaluation.with_budget(costs.REQUEST_LIMIT)
        for index, expression in enumerate(self._validations):
            try:
                if evaluation.value(expression) is not True:
                    found.failures.append(self._failure(index, evaluation))
            except ExpressionError as error:
                self._error(found, str(error), index)
        evaluation.with_budget(costs.REQUEST_LIMIT)
        for key, annotation in self._annotations.items():
            self._annotate(key, annotation, evaluation, found)

    def _failure(self, index: int, evaluation: Evaluation) -> Failure:
        validation = self._spec["validations"][index]
        message = self._told(index, evaluation)
        if not message:
            message = (validation.get("message") or "").strip()
        if not message:
            message = f"failed expression: {validation['expression'].strip()}"
        return Failure(message, validation.get("reason") or "Invalid", index)

    def _told(self, index: int, evaluation: Evaluation) -> str:
        expression = self._messages[index]
        if expression is None:
            return ""
        try:
            value = evaluation.value(expression)
        except ExpressionError:
            return ""
        text = value.strip() if isinstance(value, str) else ""
        return "" if "\n" in text or len(text.encode()) > MESSAGE_BYTES_MAX else text

    def _annotate(
        self, key: str, expression: Compiled, evaluation: Evaluation, found: Findings
    ) -> None:
        try:
            value = evaluation.value(expression)
        except ExpressionError as error:
            if not self.ignores_errors:
                found.denials.append(Failure(str(error)))
            return
        if isinstance(value, str) and (text := value.strip()):
            found.annotations[key] = text.encode()[:ANNOTATION_BYTES_MAX].decode("utf-8", "replace")
