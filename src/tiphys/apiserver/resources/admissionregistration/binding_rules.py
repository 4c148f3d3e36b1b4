"""Whether a binding of a policy is valid.

Upstream: pkg/apis/admissionregistration/validation/validation.go
(validateValidatingAdmissionPolicyBinding, validateMutatingAdmissionPolicyBinding).
"""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, duplicate, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.admissionregistration.match_resources import (
    match_errors,
    mutable_operation_errors,
)
from tiphys.apiserver.resources.admissionregistration.param_rules import param_ref_errors
from tiphys.apiserver.resources.rules.texts import named, unsupported

_ACTIONS: Final = ("Audit", "Deny", "Warn")


def binding_errors(binding: Obj) -> list[FieldError]:
    """What both kinds have."""
    spec = binding["spec"]
    errors = named(
        spec.get("policyName") or "",
        "spec.policyName",
        lambda name: names.name_is_dns_subdomain(name, False),
    )
    errors += param_ref_errors(spec.get("paramRef"), "spec.paramRef")
    return errors + match_errors(spec.get("matchResources"), "spec.matchResources")


def validating_binding_errors(binding: Obj) -> list[FieldError]:
    actions = binding["spec"].get("validationActions") or []
    return binding_errors(binding) + _actions(actions, "spec.validationActions")


def _actions(actions: list[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, action in enumerate(actions):
        where = f"{path}[{index}]"
        if action not in _ACTIONS:
            errors.append(unsupported(where, action, _ACTIONS))
        if action in actions[:index]:
            errors.append(duplicate(where, action))
    if {"Deny", "Warn"} <= set(actions):
        text = (
            "must not contain both Deny and Warn (repeating the same validation failure information"
            " in the API response and headers serves no purpose)"
        )
        errors.append(invalid(path, actions, text))
    if not actions:
        errors.append(required(path, "at least one validation action is required"))
    return errors


def mutating_binding_errors(binding: Obj) -> list[FieldError]:
    match = binding["spec"].get("matchResources")
    return binding_errors(binding) + mutable_operation_errors(match, "spec.matchResources")
