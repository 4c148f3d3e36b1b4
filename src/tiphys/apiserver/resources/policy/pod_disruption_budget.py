"""PodDisruptionBudget. Upstream: pkg/registry/policy/poddisruptionbudget."""

from typing import Final

from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj, at
from tiphys.api.names import path_segment_name
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import Cell, columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import workload, workload_status
from tiphys.apiserver.resources.rules.texts import label_selector, unsupported

_INFO = built_in("policy", "v1", "poddisruptionbudgets")


EMPTY_STATUS: Final[Obj] = {
    "disruptionsAllowed": 0,
    "currentHealthy": 0,
    "desiredHealthy": 0,
    "expectedPods": 0,
}


def default(budget: Obj) -> None:
    budget.setdefault("status", dict(EMPTY_STATUS))


def _amount(field: str) -> Cell:
    return lambda budget, _: str(at(budget, "spec", field, default="N/A"))


def validate(budget: Obj) -> list[FieldError]:
    spec = budget["spec"]
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    errors: list[FieldError] = []
    if least is not None and most is not None:
        text = "minAvailable and maxUnavailable cannot be both set"
        errors.append(invalid("spec", go_form(spec, "policy.v1.PodDisruptionBudgetSpec"), text))
    for field, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            errors += workload.int_or_percent(value, f"spec.{field}")
            errors += workload.at_most_all(value, f"spec.{field}")
    errors += label_selector(spec.get("selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    valid = ("AlwaysAllow", "IfHealthyBudget")
    if policy is not None and policy not in valid:
        errors.append(unsupported("spec.unhealthyPodEvictionPolicy", policy, valid))
    return errors


POD_DISRUPTION_BUDGET = Resource(
    _INFO,
    validate=validate,
    validate_name=path_segment_name,  # Upstream has no rules of the kind's own for it.
    allow_unconditional_update=False,
    columns=columns_of(
        _INFO,
        cells.name,
        _amount("minAvailable"),
        _amount("maxUnavailable"),
        cells.value("status", "disruptionsAllowed", default=0),
        cells.age,
    ),
    default=default,
    before_create=generation.created(EMPTY_STATUS),
    before_update=generation.updated,
    validate_status_update=workload_status.disruption_budget,
    before_status_update=generation.status_updated,
)
