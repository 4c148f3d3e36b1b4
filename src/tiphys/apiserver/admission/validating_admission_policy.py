"""ValidatingAdmissionPolicy: what users' expressions say of a write.

Upstream: apiserver pkg/admission/plugin/policy/validating/dispatcher.go.
"""

from typing import TYPE_CHECKING, Final

import orjson

from tiphys.api.errors import ApiError, StatusCause
from tiphys.api.meta import Obj
from tiphys.apiserver.admission.chain import ALL, Resources, Write
from tiphys.apiserver.admission.policy_plugin import PolicyPlugin
from tiphys.apiserver.admission.refusal import refuse
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.filters.authorization import RbacAuthorizer

if TYPE_CHECKING:
    from tiphys.apiserver.policies.source import Call, Hooks
    from tiphys.apiserver.policies.validating import Findings, ValidatingPolicy

_FAILURES: Final = "validation.policy.admission.k8s.io/validation_failure"
_FAILURES_MAX: Final = 50  # maxValidationFailures
_CODES: Final = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413}


class ValidatingAdmissionPolicy(PolicyPlugin["ValidatingPolicy"]):
    name = "ValidatingAdmissionPolicy"
    resources: Resources = ALL

    def __init__(
        self, endpoints: dict[tuple[str, str, str], Endpoint], authorizer: RbacAuthorizer
    ) -> None:
        super().__init__(endpoints, authorizer, "validatingadmissionpolicy")

    def validate(self, write: Write) -> None:
        """Raises ApiError with what the first policy that denies says."""
        if self.is_idle:
            return
        report = _Report(write)
        for call in self._loaded().calls(write, self.endpoints, self._namespaces):
            if call.error:
                report.refuse(call, call.error)
            else:
                report.add(call, call.policy.check(call.known))
        report.publish()
        if report.denied:
            raise report.denied[0]

    def _load(self) -> "Hooks[ValidatingPolicy]":
        from tiphys.apiserver.policies.source import Hooks
        from tiphys.apiserver.policies.validating import ValidatingPolicy

        return Hooks(self._policies, self._bindings, ValidatingPolicy, self._authorizer)


class _Report:
    """What all policies say of a write."""

    def __init__(self, write: Write) -> None:
        self.denied: list[ApiError] = []
        self._write = write
        self._failures: list[Obj] = []  # For the audit log.
        self._annotations: dict[str, list[str]] = {}

    def refuse(self, call: "Call[ValidatingPolicy]", error: str) -> None:
        """Of what cannot be evaluated at all."""
        if not call.policy.ignores_errors:
            self._deny(call, error, "")

    def add(self, call: "Call[ValidatingPolicy]", found: "Findings") -> None:
        """As the binding's actions say."""
        actions = call.binding["spec"].get("validationActions") or []
        policy, binding = call.policy.name, call.binding["metadata"]["name"]
        for failure in found.failures:
            for action in actions:
                if action == "Deny":
                    self._deny(call, failure.message, failure.reason)
                elif action == "Warn":
                    text = f"Validation failed for {_told(call)}: {failure.message}"
                    self._write.warnings.append(text)
                else:
                    self._failures.append(
                        {
                            "message": failure.message,
                            "policy": policy,
                            "binding": binding,
                            "expressionIndex": failure.index,
                            "validationActions": actions,
                        }
                    )
        for failure in found.denials:
            self._deny(call, failure.message, "")
        for key, value in found.annotations.items():
            values = self._annotations.setdefault(f"{policy}/{key}", [])
            if value not in values:
                values.append(value)

    def _deny(self, call: "Call[ValidatingPolicy]", why: str, reason: str) -> None:
        text = f"{_told(call)} denied request: {why}"
        self.denied.append(_denial(self._write, text, reason or "Invalid"))

    def publish(self) -> None:
        """To the audit log, where the request is noted in it."""
        if self._write.annotate is None:
            return
        found = {key: ", ".join(values) for key, values in self._annotations.items()}
        if self._failures:
            found[_FAILURES] = orjson.dumps(self._failures[:_FAILURES_MAX]).decode()
        if found:
            self._write.annotate(found)


def _told(call: "Call[ValidatingPolicy]") -> str:
    binding = call.binding["metadata"]["name"]
    return f"ValidatingAdmissionPolicy '{call.policy.name}' with binding '{binding}'"


def _denial(write: Write, text: str, reason: str) -> ApiError:
    error = refuse(write, text, [StatusCause("", text)])
    error.reason, error.code = reason, _CODES.get(reason, 422)
    return error
