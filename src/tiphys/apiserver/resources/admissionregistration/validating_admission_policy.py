"""ValidatingAdmissionPolicy.

Upstream: pkg/registry/admissionregistration/validatingadmissionpolicy.
"""

from tiphys.api.field_errors import FieldError, required
from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.admissionregistration.webhooks import default_match, param_kind
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.conditions import conditions
from tiphys.apiserver.resources.rules.warnings import static_name

_INFO = built_in("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies")


def default(policy: Obj) -> None:
    policy["spec"].setdefault("failurePolicy", "Fail")
    default_match(policy["spec"].get("matchConstraints"))
    policy.setdefault("status", {})


def validate(policy: Obj) -> list[FieldError]:
    """The language is loaded with the first policy."""
    from tiphys.apiserver.resources.admissionregistration import validating_policy_rules

    return validating_policy_rules.policy_errors(policy)


def validate_status_update(new: Obj, old: Obj) -> list[FieldError]:
    status = new.get("status") or {}
    errors: list[FieldError] = []
    found = (status.get("typeChecking") or {}).get("expressionWarnings") or ()
    for index, warning in enumerate(found):
        path = f"status.typeChecking.expressionWarnings[{index}]"
        errors += [
            required(f"{path}.{field}")
            for field in ("warning", "fieldRef")
            if not warning.get(field, "")
        ]
    return errors + conditions(status.get("conditions") or (), "status.conditions")


VALIDATING_ADMISSION_POLICY = Resource(
    _INFO,
    validate=validate,
    warnings=static_name,
    columns=columns_of(
        _INFO, cells.name, cells.count("spec", "validations"), param_kind, cells.age
    ),
    default=default,
    before_create=generation.created({}),
    before_update=generation.updated,
    before_status_update=generation.status_alone_updated,
    validate_status_update=validate_status_update,
    allow_unconditional_update=False,
)
