"""MutatingAdmissionPolicyBinding.

Upstream: pkg/registry/admissionregistration/mutatingadmissionpolicybinding.
"""

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.admissionregistration.binding_rules import mutating_binding_errors
from tiphys.apiserver.resources.admissionregistration.webhooks import (
    default_match,
    param_ref,
    spec_updated,
)
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.warnings import static_name

_INFO = built_in("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings")


def default(binding: Obj) -> None:
    default_match(binding["spec"].get("matchResources"))


MUTATING_ADMISSION_POLICY_BINDING = Resource(
    _INFO,
    validate=mutating_binding_errors,
    warnings=static_name,
    columns=columns_of(_INFO, cells.name, cells.value("spec", "policyName"), param_ref, cells.age),
    default=default,
    before_create=generation.start,
    before_update=spec_updated,
    allow_unconditional_update=False,
)
