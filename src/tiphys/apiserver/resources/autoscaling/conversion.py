"""autoscaling/v1 to v2, the stored form, and back.

Upstream: pkg/apis/autoscaling/v1/conversion.go.
"""

from typing import Any, Final

import orjson

from tiphys.api.meta import Obj
from tiphys.apiserver.resources.autoscaling import old_behavior
from tiphys.apiserver.resources.autoscaling.old_metrics import from_old, to_old
from tiphys.codec.typed import DecodeError, to_typed

EMPTY_STATUS: Final[Obj] = {"currentReplicas": 0, "desiredReplicas": 0}
# Annotations that carry in v1 what only v2 has fields for.
_EXTRA: Final = {
    "metrics": "autoscaling.alpha.kubernetes.io/metrics",
    "behavior": "autoscaling.alpha.kubernetes.io/behavior",
    "conditions": "autoscaling.alpha.kubernetes.io/conditions",
    "currentMetrics": "autoscaling.alpha.kubernetes.io/current-metrics",
}
_SPEC: Final = "autoscaling.v2.HorizontalPodAutoscalerSpec"
_STATUS: Final = "autoscaling.v2.HorizontalPodAutoscalerStatus"
_TOLERANCES: Final = (
    "autoscaling.alpha.kubernetes.io/scale-down-tolerance",
    "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
)


def without_extra(notes: Obj) -> Obj:
    """Annotations less those that stand for fields, which no other version shows."""
    dropped = {*_EXTRA.values(), *_TOLERANCES}
    return {k: v for k, v in notes.items() if k not in dropped}


def _cpu_metric(percent: int) -> Obj:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _cpu_percent(metric: Obj, part: str) -> int | None:
    """The utilisation of cpu that a metric asks for or shows, if it is one."""
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    found = (resource.get(part) or {}).get("averageUtilization")
    return found if isinstance(found, int) else None


def to_v2(autoscaler: Obj) -> Obj:
    """A new object in the stored form."""
    spec, status = dict(autoscaler["spec"]), dict(autoscaler.get("status") or {})
    notes = dict(autoscaler["metadata"].get("annotations") or {})
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    metrics = [*_metrics(notes), *([_cpu_metric(percent)] if percent is not None else [])]
    if metrics:
        spec["metrics"] = metrics
    behavior = old_behavior.from_old(_extra(notes, "behavior"))
    if fits := _fitting("behavior", behavior, _SPEC):
        spec["behavior"] = fits
    current = status.pop("currentCPUUtilizationPercentage", None)
    # The annotation has more to say than the field.
    shown = _all_from_old(_extra(notes, "currentMetrics"), "current")
    shown = _fitting("currentMetrics", shown, _STATUS)
    if current is not None and not shown:
        usage = {"averageUtilization": current, "averageValue": "0"}
        shown = [{"type": "Resource", "resource": {"name": "cpu", "current": usage}}]
    status["currentMetrics"] = shown or None
    if conditions := _fitting("conditions", _extra(notes, "conditions"), _STATUS):
        status["conditions"] = conditions
    return {
        "kind": "HorizontalPodAutoscaler",
        "apiVersion": "autoscaling/v2",
        "metadata": _with_notes(autoscaler["metadata"], without_extra(notes)),
        "spec": spec,
        "status": status,
    }


def from_v2(autoscaler: Obj) -> Obj:
    """A new object in this version's form."""
    spec, status = dict(autoscaler["spec"]), dict(autoscaler.get("status") or {})
    notes = dict(autoscaler["metadata"].get("annotations") or {})
    others: list[Obj] = []
    for metric in spec.pop("metrics", None) or []:
        percent = _cpu_percent(metric, "target")
        if percent is None:
            others.append(metric)
        else:
            spec["targetCPUUtilizationPercentage"] = percent
    shown = list(status.pop("currentMetrics", None) or [])
    for metric in shown:
        percent = _cpu_percent(metric, "current")
        if percent is not None:
            status["currentCPUUtilizationPercentage"] = percent
    behavior = spec.pop("behavior", None)
    extra = {
        "metrics": [to_old(metric, "target") for metric in others],
        "behavior": old_behavior.to_old(behavior) if behavior is not None else None,
        "conditions": status.pop("conditions", None),
        "currentMetrics": [to_old(metric, "current") for metric in shown],
    }
    notes |= {_EXTRA[f]: orjson.dumps(value).decode() for f, value in extra.items() if value}
    return {
        "kind": "HorizontalPodAutoscaler",
        "apiVersion": "autoscaling/v1",
        "metadata": _with_notes(autoscaler["metadata"], notes),
        "spec": spec,
        "status": EMPTY_STATUS | status,
    }


def _extra(notes: Obj, field: str) -> Any:
    """What an annotation holds; one that is not JSON says nothing."""
    text = notes.get(_EXTRA[field])
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None


def _fitting(field: str, value: Any, type_name: str) -> Any:
    """The value of a field in v2's form; None for what is none: the annotation says nothing."""
    try:
        return to_typed({field: value}, type_name).get(field)
    except DecodeError:
        return None


def _all_from_old(metrics: Any, part: str) -> Any:
    if not isinstance(metrics, list):
        return metrics
    return [from_old(m, part) if isinstance(m, dict) else m for m in metrics]


def _metrics(notes: Obj) -> list[Obj]:
    """Those that an annotation names."""
    named = _all_from_old(_extra(notes, "metrics"), "target")
    return _fitting("metrics", named, _SPEC) or []


def has_metrics(autoscaler: Obj) -> bool:
    """Whether an annotation of an object of this version names metrics."""
    return bool(_metrics(autoscaler["metadata"].get("annotations") or {}))


def _with_notes(metadata: Obj, notes: Obj) -> Obj:
    rest = {k: v for k, v in metadata.items() if k != "annotations"}
    return rest | {"annotations": notes} if notes else rest
