"""Metrics as annotations of autoscaling/v1 hold them: in the form of that version's own types.

What is a `target` or `current` of its own in v2 stands there as fields of the source.
Upstream: pkg/apis/autoscaling/v1/conversion.go, k8s.io/api/autoscaling/v1 (MetricSpec).
"""

from typing import Any, Final, NamedTuple

from tiphys.api.meta import Obj

_SOURCES: Final = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}


class _Names(NamedTuple):
    """What v1 calls the parts of a source: those of the metric, then those of target or current."""

    metric: tuple[tuple[str, str], ...]  # (v2's path, v1's name)
    spec: tuple[tuple[str, str], ...]
    status: tuple[tuple[str, str], ...]


_METRIC: Final = (("metric.name", "metricName"), ("metric.selector", "selector"))
_RESOURCE: Final = _Names(
    (("name", "name"), ("container", "container")),
    (
        ("averageUtilization", "targetAverageUtilization"),
        ("averageValue", "targetAverageValue"),
    ),
    (
        ("averageUtilization", "currentAverageUtilization"),
        ("averageValue", "currentAverageValue"),
    ),
)
_NAMES: Final = {
    "object": _Names(
        (("describedObject", "target"), *_METRIC),
        (("value", "targetValue"), ("averageValue", "averageValue")),
        (("value", "currentValue"), ("averageValue", "averageValue")),
    ),
    "pods": _Names(
        _METRIC,
        (("averageValue", "targetAverageValue"),),
        (("averageValue", "currentAverageValue"),),
    ),
    "resource": _RESOURCE,
    "containerResource": _RESOURCE,
    "external": _Names(
        (("metric.name", "metricName"), ("metric.selector", "metricSelector")),
        (("value", "targetValue"), ("averageValue", "targetAverageValue")),
        (("value", "currentValue"), ("averageValue", "currentAverageValue")),
    ),
}
# Amounts that v1 writes though nobody set them.
_ALWAYS: Final = {
    ("object", "target"): ("targetValue",),
    ("object", "current"): ("currentValue",),
    ("pods", "target"): ("targetAverageValue",),
    ("pods", "current"): ("currentAverageValue",),
    ("resource", "current"): ("currentAverageValue",),
    ("containerResource", "current"): ("currentAverageValue",),
    ("external", "current"): ("currentValue",),
}


def to_old(metric: Obj, part: str) -> Obj:
    """A metric of v2 in v1's form; part is `target` for a spec, `current` for a status."""
    kind = _SOURCES.get(metric.get("type", ""), "")
    source = metric.get(kind)
    if not source:
        return {"type": metric.get("type", "")}
    names = _NAMES[kind]
    found: Obj = {}
    for path, name in names.metric:
        if (value := _found(source, path)) is not None:
            found[name] = value
    amounts = source.get(part) or {}
    for field, name in names.spec if part == "target" else names.status:
        if amounts.get(field) is not None:
            found[name] = amounts[field]
        elif name in _ALWAYS.get((kind, part), ()):
            found[name] = "0"
    return {"type": metric["type"], kind: found}


def from_old(metric: Obj, part: str) -> Obj:
    """The other way. A source of an unknown type is left out; what is none comes back as it is."""
    type_ = metric.get("type", "")
    kind = _SOURCES.get(type_, "") if isinstance(type_, str) else ""
    source = metric.get(kind)
    if not isinstance(source, dict):
        return {"type": type_} if source is None else {"type": type_, kind: source}
    names = _NAMES[kind]
    made: Obj = {}
    for path, name in names.metric:
        if name in source:
            _put(made, path, source[name])
    pairs = names.spec if part == "target" else names.status
    amounts = {field: source[name] for field, name in pairs if source.get(name) is not None}
    made[part] = ({"type": _target_type(kind, amounts)} if part == "target" else {}) | amounts
    return {"type": metric["type"], kind: made}


def _target_type(kind: str, amounts: Obj) -> str:
    if kind in {"resource", "containerResource"} and "averageUtilization" in amounts:
        return "Utilization"
    if kind in {"object", "external"} and "averageValue" not in amounts:
        return "Value"
    return "AverageValue"


def _found(source: Obj, path: str) -> Any:
    outer, _, inner = path.partition(".")
    value = source.get(outer)
    return (value or {}).get(inner) if inner else value


def _put(made: Obj, path: str, value: Any) -> None:
    outer, _, inner = path.partition(".")
    if inner:
        made.setdefault(outer, {})[inner] = value
    else:
        made[outer] = value
