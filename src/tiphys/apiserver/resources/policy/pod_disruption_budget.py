"""PodDisruptionBudget. Upstream: pkg/registry/policy/poddisruptionbudget."""

from typing import Final

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import Cell, columns_of
from tiphys.apiserver.resources.resource import Resource

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


POD_DISRUPTION_BUDGET = Resource(
    _INFO,
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
    before_status_update=generation.status_updated,
)
