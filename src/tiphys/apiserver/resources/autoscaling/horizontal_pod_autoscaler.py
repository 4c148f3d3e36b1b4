"""HorizontalPodAutoscaler. Upstream: pkg/registry/autoscaling/horizontalpodautoscaler."""

from typing import Final

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.autoscaling import conversion, rules
from tiphys.apiserver.resources.autoscaling.hpa_cells import metrics, min_pods, reference
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import workload_status

_INFO = built_in("autoscaling", "v2", "horizontalpodautoscalers")


_EMPTY_STATUS: Final[Obj] = {"desiredReplicas": 0, "currentMetrics": None}


def _policy(kind: str, value: int) -> Obj:
    return {"type": kind, "value": value, "periodSeconds": 15}


def default(autoscaler: Obj) -> None:
    spec, metadata = autoscaler["spec"], autoscaler["metadata"]
    if notes := metadata.get("annotations"):
        metadata["annotations"] = conversion.without_extra(notes)
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if "behavior" in spec:
        up = spec["behavior"].setdefault("scaleUp", {})
        up.setdefault("stabilizationWindowSeconds", 0)
        up.setdefault("selectPolicy", "Max")
        up.setdefault("policies", [_policy("Pods", 4), _policy("Percent", 100)])
        down = spec["behavior"].setdefault("scaleDown", {})
        down.setdefault("selectPolicy", "Max")
        down.setdefault("policies", [_policy("Percent", 100)])
    autoscaler.setdefault("status", dict(_EMPTY_STATUS))


def before_create(autoscaler: Obj) -> None:
    autoscaler["status"] = dict(_EMPTY_STATUS)


HORIZONTAL_POD_AUTOSCALER = Resource(
    _INFO,
    validate=rules.validate,
    validate_status_update=workload_status.AUTOSCALER,
    columns=columns_of(
        _INFO,
        cells.name,
        reference,
        metrics,
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
