"""PriorityLevelConfiguration. Upstream: pkg/registry/flowcontrol/prioritylevelconfiguration."""

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import Cell, columns_of
from tiphys.apiserver.resources.flowcontrol import priority_level_rules
from tiphys.apiserver.resources.flowcontrol.mandatory import condition_errors
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations")


def default(level: Obj) -> None:
    spec = level["spec"]
    if "exempt" in spec:
        spec["exempt"].setdefault("nominalConcurrencyShares", 0)
        spec["exempt"].setdefault("lendablePercent", 0)
    limited = spec.get("limited")
    if limited is not None:
        if limited.get("nominalConcurrencyShares") is None:
            limited["nominalConcurrencyShares"] = 30
        if limited.get("lendablePercent") is None:
            limited["lendablePercent"] = 0
        queuing = at(limited, "limitResponse", "queuing")
        if queuing is not None:
            for field, value in (("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)):
                queuing[field] = queuing.get(field) or value
    level.setdefault("status", {})


def _queuing(field: str) -> Cell:
    return cells.value("spec", "limited", "limitResponse", "queuing", field, default="<none>")


PRIORITY_LEVEL_CONFIGURATION = Resource(
    _INFO,
    validate=priority_level_rules.validate,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("spec", "type"),
        cells.value("spec", "limited", "nominalConcurrencyShares", default="<none>"),
        _queuing("queues"),
        _queuing("handSize"),
        _queuing("queueLengthLimit"),
        cells.age,
    ),
    default=default,
    before_create=generation.created({}),
    before_update=generation.updated,
    before_status_update=generation.status_alone_updated,
    validate_status_update=condition_errors,
)
