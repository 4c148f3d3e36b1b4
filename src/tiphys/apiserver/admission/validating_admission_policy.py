"""ValidatingAdmissionPolicy: what users' expressions say of a write.

The language and what evaluates it are loaded with the first policy.
Upstream: apiserver pkg/admission/plugin/policy/validating/dispatcher.go.
"""

from typing import TYPE_CHECKING, Final

from tiphys.api.errors import ApiError, StatusCause
from tiphys.api.meta import Obj
from tiphys.apiserver.admission.chain import Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.filters.authorization import RbacAuthorizer

if TYPE_CHECKING:
    from tiphys.apiserver.policies.source import Hooks
    from tiphys.apiserver.policies.validating import Findings, ValidatingPolicy

GROUP: Final = "admissionregistration.k8s.io"
_CODES: Final = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413}


class ValidatingAdmissionPolicy:
    name = "ValidatingAdmissionPolicy"

    def __init__(
        self, endpoints: dict[tuple[str, str, str], Endpoint], authorizer: RbacAuthorizer
    ) -> None:
        """`endpoints` may grow: parameters may be custom resources."""
        self.endpoints = endpoints
        self._authorizer = authorizer
        self._namespaces = endpoints["", "v1", "namespaces"].cache
        self._policies = endpoints[GROUP, "v1", "validatingadmissionpolicies"].cache
        self._bindings = endpoints[GROUP, "v1", "validatingadmissionpolicybindings"].cache
        self._hooks: Hooks[ValidatingPolicy] | None = None

    def mutate(self, write: Write) -> None:
        """Nothing is changed."""

    def validate(self, write: Write) -> None:
        """Raises ApiError with what the first policy that denies says."""
        if not self._policies.objects or not self._bindings.objects:
            return
        denied: list[ApiError] = []
        for call in self._loaded().calls(write, self.endpoints, self._namespaces):
            policy = call.policy
            found = policy.check(call.known) if not call.error else _config(call.error, policy)
            denied += _answered(write, policy, call.binding, found, is_config=bool(call.error))
        if denied:
            raise denied[0]

    def _loaded(self) -> "Hooks[ValidatingPolicy]":
        if self._hooks is None:
            from tiphys.apiserver.policies.source import Hooks
            from tiphys.apiserver.policies.validating import ValidatingPolicy

            self._hooks = Hooks(self._policies, self._bindings, ValidatingPolicy, self._authorizer)
        return self._hooks


def _config(error: str, policy: "ValidatingPolicy") -> "Findings":
    """A binding that cannot be used."""
    from tiphys.apiserver.policies.validating import Failure, Findings

    return Findings([] if policy.ignores_errors else [Failure(error)])


def _answered(
    write: Write, policy: "ValidatingPolicy", binding: Obj, found: "Findings", *, is_config: bool
) -> list[ApiError]:
    """Warnings are noted; what denies comes back. What cannot be configured always denies."""
    denied: list[ApiError] = []
    where = f"'{policy.name}' with binding '{binding['metadata']['name']}'"
    actions = ["Deny"] if is_config else binding["spec"].get("validationActions") or []
    for failure in found.failures:
        for action in actions:
            if action == "Deny":
                text = f"ValidatingAdmissionPolicy {where} denied request: {failure.message}"
                denied.append(_denial(write, text, failure.reason or "Invalid"))
            elif action == "Warn":
                text = f"Validation failed for ValidatingAdmissionPolicy {where}: {failure.message}"
                write.warnings.append(text)
    return denied


def _denial(write: Write, text: str, reason: str) -> ApiError:
    error = refuse(write, text, [StatusCause("", text)])
    error.reason, error.code = reason, _CODES.get(reason, 422)
    return error
