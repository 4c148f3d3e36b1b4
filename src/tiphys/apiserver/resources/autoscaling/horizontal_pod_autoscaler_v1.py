"""HorizontalPodAutoscalerV1. Upstream: pkg/registry/autoscaling/horizontalpodautoscaler."""

from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.autoscaling import rules
from tiphys.apiserver.resources.autoscaling.conversion import has_metrics, to_v2
from tiphys.apiserver.resources.autoscaling.hpa_cells import metrics, min_pods, reference
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import workload_status

_INFO = built_in("autoscaling", "v1", "horizontalpodautoscalers")


CPU_PERCENT_DEFAULT: Final = 80
_EMPTY_STATUS: Final[Obj] = {"currentReplicas": 0, "desiredReplicas": 0}


def default(autoscaler: Obj) -> None:
    spec = autoscaler["spec"]
    spec.setdefault("minReplicas", 1)
    if "targetCPUUtilizationPercentage" not in spec and not has_metrics(autoscaler):
        spec["targetCPUUtilizationPercentage"] = CPU_PERCENT_DEFAULT
    autoscaler.setdefault("status", dict(_EMPTY_STATUS))


def _metrics(autoscaler: Obj, now: datetime) -> Any:
    """Those in annotations too."""
    return metrics(to_v2(autoscaler), now)


def before_create(autoscaler: Obj) -> None:
    autoscaler["status"] = dict(_EMPTY_STATUS)


HORIZONTAL_POD_AUTOSCALER_V1 = Resource(
    _INFO,
    validate=rules.validate_v1,
    validate_status_update=workload_status.AUTOSCALER,
    columns=columns_of(
        _INFO,
        cells.name,
        reference,
        _metrics,
        min_pods,
        cells.value("spec", "maxReplicas", default=0),
        cells.value("status", "currentReplicas", default=0),
        cells.age,
    ),
    default=default,
    before_create=before_create,
    before_update=generation.keep_status,
    before_status_update=generation.status_updated,
)
