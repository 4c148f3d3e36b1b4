"""ValidatingAdmissionPolicyBinding.

Upstream: pkg/registry/admissionregistration/validatingadmissionpolicybinding.
"""

from typing import Final

from tiphys.api.field_errors import FieldError, duplicate, invalid, not_supported, required
from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.admissionregistration import match_rules
from tiphys.apiserver.resources.admissionregistration.webhooks import (
    default_match,
    param_ref,
    spec_updated,
)
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings")
_ACTIONS: Final = ("Audit", "Deny", "Warn")


def default(binding: Obj) -> None:
    default_match(binding["spec"].get("matchResources"))


def validate(binding: Obj) -> list[FieldError]:
    spec = binding["spec"]
    errors = match_rules.policy_name(spec.get("policyName") or "", "spec.policyName")
    errors += match_rules.param_ref(spec.get("paramRef"), "spec.paramRef")
    errors += match_rules.match_resources(spec.get("matchResources"), "spec.matchResources")
    return errors + _actions(spec.get("validationActions") or [], "spec.validationActions")


def _actions(actions: list[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, action in enumerate(actions):
        if action not in _ACTIONS:
            errors.append(not_supported(f"{path}[{index}]", action, _ACTIONS))
        if action in actions[:index]:
            errors.append(duplicate(f"{path}[{index}]", action))
    if {"Deny", "Warn"} <= set(actions):
        text = (
            "must not contain both Deny and Warn (repeating the same validation failure "
            "information in the API response and headers serves no purpose)"
        )
        errors.append(invalid(path, actions, text))
    if not actions:
        errors.append(required(path, "at least one validation action is required"))
    return errors


VALIDATING_ADMISSION_POLICY_BINDING = Resource(
    _INFO,
    validate=validate,
    allow_unconditional_update=False,
    columns=columns_of(_INFO, cells.name, cells.value("spec", "policyName"), param_ref, cells.age),
    default=default,
    before_create=generation.start,
    before_update=spec_updated,
)
