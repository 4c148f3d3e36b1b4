"""Cells of HorizontalPodAutoscalers. Upstream: pkg/printers (formatHPAMetrics)."""

from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, at

_UNKNOWN: Final = "<unknown>"
_NIL: Final = "<nil>"  # As Go shows an amount that is missing.
_SHOWN_MAX: Final = 2
_SOURCES: Final = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def reference(autoscaler: Obj, _: datetime) -> Any:
    target = at(autoscaler, "spec", "scaleTargetRef", default={})
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def min_pods(autoscaler: Obj, _: datetime) -> Any:
    return str(at(autoscaler, "spec", "minReplicas", default="<unset>"))


def metrics(autoscaler: Obj, _: datetime) -> Any:
    specs = at(autoscaler, "spec", "metrics", default=[])
    statuses = at(autoscaler, "status", "currentMetrics", default=[])
    texts = [_metric(s, statuses[i] if i < len(statuses) else {}) for i, s in enumerate(specs)]
    if not texts:
        return "<none>"
    more = f" + {len(texts) - _SHOWN_MAX} more..." if len(texts) > _SHOWN_MAX else ""
    return ", ".join(texts[:_SHOWN_MAX]) + more


def _metric(spec: Obj, status: Obj) -> str:
    source = _SOURCES.get(spec.get("type", ""))
    if source is None:
        return "<unknown type>"
    target = at(spec, source, "target", default={})
    current = at(status, source, "current")
    if source in {"resource", "containerResource"}:
        return f"{at(spec, source, 'name', default='')}: {_utilization(target, current)}"
    if source == "pods":
        return f"{_shown(current, 'averageValue')}/{target.get('averageValue', _NIL)}"
    if "averageValue" in target:
        return f"{(current or {}).get('averageValue', _UNKNOWN)}/{target['averageValue']} (avg)"
    return f"{_shown(current, 'value')}/{target.get('value', _NIL)}"


def _shown(current: Obj | None, field: str) -> str:
    """Nobody looked yet, or who looked did not see that."""
    return _UNKNOWN if current is None else str(current.get(field, _NIL))


def _utilization(target: Obj, current: Obj | None) -> str:
    if "averageValue" in target:
        return f"{_shown(current, 'averageValue')}/{target['averageValue']}"
    have = (current or {}).get("averageUtilization")
    want = target.get("averageUtilization")
    left = _UNKNOWN if have is None else f"{have}%"
    return f"{left}/{'<auto>' if want is None else f'{want}%'}"
