"""MutatingAdmissionPolicy. Upstream: pkg/registry/admissionregistration/mutatingadmissionpolicy."""

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.admissionregistration.webhooks import (
    default_match,
    param_kind,
    spec_updated,
)
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.warnings import static_name

_INFO = built_in("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies")


def default(policy: Obj) -> None:
    policy["spec"].setdefault("failurePolicy", "Fail")
    default_match(policy["spec"].get("matchConstraints"))


def validate(policy: Obj) -> list[FieldError]:
    """The language is loaded with the first policy."""
    from tiphys.apiserver.resources.admissionregistration import mutating_policy_rules

    return mutating_policy_rules.policy_errors(policy)


MUTATING_ADMISSION_POLICY = Resource(
    _INFO,
    validate=validate,
    warnings=static_name,
    columns=columns_of(_INFO, cells.name, cells.count("spec", "mutations"), param_kind, cells.age),
    default=default,
    before_create=generation.start,
    before_update=spec_updated,
    allow_unconditional_update=False,
)
