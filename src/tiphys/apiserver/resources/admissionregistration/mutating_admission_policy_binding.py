"""MutatingAdmissionPolicyBinding.

Upstream: pkg/registry/admissionregistration/mutatingadmissionpolicybinding.
"""

from tiphys.api.field_errors import FieldError
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

_INFO = built_in("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings")


def default(binding: Obj) -> None:
    default_match(binding["spec"].get("matchResources"))


def validate(binding: Obj) -> list[FieldError]:
    spec, path = binding["spec"], "spec.matchResources"
    errors = match_rules.policy_name(spec.get("policyName") or "", "spec.policyName")
    errors += match_rules.param_ref(spec.get("paramRef"), "spec.paramRef")
    errors += match_rules.match_resources(spec.get("matchResources"), path)
    return errors + match_rules.mutated_operations(spec.get("matchResources"), path)


MUTATING_ADMISSION_POLICY_BINDING = Resource(
    _INFO,
    validate=validate,
    allow_unconditional_update=False,
    columns=columns_of(_INFO, cells.name, cells.value("spec", "policyName"), param_ref, cells.age),
    default=default,
    before_create=generation.start,
    before_update=spec_updated,
)
