"""Validation of HorizontalPodAutoscalers. Upstream: pkg/apis/autoscaling/validation."""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, required
from tiphys.api.meta import Obj
from tiphys.api.quantity import of
from tiphys.apiserver.resources.autoscaling.conversion import to_v2
from tiphys.apiserver.resources.rules.texts import each, unsupported

_TYPES: Final = ("ContainerResource", "External", "Object", "Pods", "Resource")
_SOURCES: Final = {t: t[0].lower() + t[1:] for t in _TYPES}
_TARGETS: Final = ("Utilization", "Value", "AverageValue")
_WINDOW_MAX: Final = 3600
_PERIOD_MAX: Final = 1800


def validate_v1(autoscaler: Obj) -> list[FieldError]:
    return validate(to_v2(autoscaler))


def validate(autoscaler: Obj) -> list[FieldError]:
    spec = autoscaler["spec"]
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    errors: list[FieldError] = []
    if least is not None and least < 1:
        text = "must be greater than or equal to 1"
        errors.append(invalid("spec.minReplicas", least, text))
    if most < 1:
        errors.append(required("spec.maxReplicas", "must be set and greater than 0"))
    if least is not None and most < least:
        text = "must be greater than or equal to `minReplicas`"
        errors.append(invalid("spec.maxReplicas", most, text))
    errors += _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    for index, metric in enumerate(spec.get("metrics") or ()):
        errors += _metric(metric, f"spec.metrics[{index}]")
    kinds = {metric.get("type") for metric in spec.get("metrics") or ()}
    if least == 0 and not kinds & {"Object", "External"}:
        text = "must specify at least one Object or External metric to support scaling to zero"
        errors.append(forbidden("spec.metrics", f"{text} replicas"))
    for side in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(side)
        if rules is not None:
            errors += _rules(rules, f"spec.behavior.{side}")
    return errors


def _reference(ref: Obj, path: str) -> list[FieldError]:
    errors = _named(ref, path)
    version = ref.get("apiVersion", "")
    if "/" not in version and version != "v1":
        errors.append(invalid(f"{path}.apiVersion", version, "apiVersion must specify API group"))
    return errors


def _named(ref: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("kind", "name"):
        value = ref.get(field, "")
        if not value:
            errors.append(required(f"{path}.{field}"))
        else:
            errors += each(f"{path}.{field}", value, names.path_segment_name(value, False))
    return errors


def _metric(metric: Obj, path: str) -> list[FieldError]:
    kind = metric.get("type", "")
    errors = _sources(metric, path)
    if kind not in _TYPES:
        wrong = unsupported(f"{path}.type", kind, _TYPES)
        return [*errors, wrong, wrong]  # Upstream looks twice.
    where, source = f"{path}.{_SOURCES[kind]}", metric.get(_SOURCES[kind])
    if source is None:
        return [*errors, required(where, "must populate information for the given metric source")]
    return errors + _source(kind, source, where)


def _sources(metric: Obj, path: str) -> list[FieldError]:
    """There is a type, and no other source beside its own."""
    kind = metric.get("type", "")
    if not kind:
        return [required(f"{path}.type", "must specify a metric source type")]
    text = "must populate the given metric source only"
    own = _SOURCES.get(kind)
    return [
        forbidden(f"{path}.{field}", text)
        for field in _SOURCES.values()
        if field in metric and field != own and own is not None
    ]


def _source(kind: str, source: Obj, where: str) -> list[FieldError]:
    target = source.get("target") or {}
    match kind:
        case "Object":
            errors = _named(source.get("describedObject") or {}, f"{where}.describedObject")
            errors += _identifier(source, where) + _target(target, f"{where}.target")
            return errors + _value_or_average(target, where, "averageValue")
        case "External":
            errors = _identifier(source, where) + _target(target, f"{where}.target")
            return errors + _external(target, where)
        case "Pods":
            errors = _identifier(source, where) + _target(target, f"{where}.target")
            if target.get("averageValue") is not None:
                return errors
            text = "must specify a positive target averageValue"
            return [*errors, required(f"{where}.target.averageValue", text)]
    return _resource(source, target, where, kind)


def _is_positive(value: object) -> bool:
    return value is not None and of(value).nanos > 0


def _identifier(source: Obj, path: str) -> list[FieldError]:
    name = (source.get("metric") or {}).get("name", "")
    where = f"{path}.metric.name"
    if not name:
        return [required(where, "must specify a metric name")]
    return each(where, name, names.path_segment_name(name, False))


def _target(target: Obj, path: str) -> list[FieldError]:
    kind = target.get("type", "")
    errors: list[FieldError] = []
    if not kind:
        errors.append(required(f"{path}.type", "must specify a metric target type"))
    if kind not in _TARGETS:
        text = "must be either Utilization, Value, or AverageValue"
        errors.append(invalid(f"{path}.type", kind, text))
    for field in ("value", "averageValue"):
        value = target.get(field)
        if value is not None and not _is_positive(value):
            errors.append(invalid(f"{path}.{field}", value, "must be positive"))
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        errors.append(invalid(f"{path}.averageUtilization", percent, "must be greater than 0"))
    return errors


def _value_or_average(target: Obj, path: str, field: str) -> list[FieldError]:
    if target.get("value") is None and target.get("averageValue") is None:
        text = "must set either a target value or averageValue"
        return [required(f"{path}.target.{field}", text)]
    return []


def _external(target: Obj, path: str) -> list[FieldError]:
    value, average = target.get("value"), target.get("averageValue")
    if value is None and average is None:
        text = "must set either a target value for metric or a per-pod target"
        return [required(f"{path}.target.averageValue", text)]
    if value is not None and average is not None:
        text = "may not set both a target value for metric and a per-pod target"
        return [forbidden(f"{path}.target.value", text)]
    return []


def _resource(source: Obj, target: Obj, path: str, kind: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if kind == "ContainerResource":
        container = source.get("container", "")
        if not container:
            errors.append(required(f"{path}.container", "must specify a container"))
        else:
            errors += each(f"{path}.container", container, names.dns_label(container))
    if not source.get("name"):
        errors.append(required(f"{path}.name", "must specify a resource name"))
    errors += _target(target, f"{path}.target")
    percent, average = target.get("averageUtilization"), target.get("averageValue")
    if percent is None and average is None:
        text = "must set either a target raw value or a target utilization"
        errors.append(required(f"{path}.target.averageUtilization", text))
    if percent is not None and average is not None:
        text = "may not set both a target raw value and a target utilization"
        errors.append(forbidden(f"{path}.target.averageValue", text))
    return errors


def _rules(rules: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    window, policy = rules.get("stabilizationWindowSeconds"), rules.get("selectPolicy")
    where = f"{path}.stabilizationWindowSeconds"
    if window is not None and window < 0:
        errors.append(invalid(where, window, "must be greater than or equal to zero"))
    if window is not None and window > _WINDOW_MAX:
        errors.append(invalid(where, window, f"must be less than or equal to {_WINDOW_MAX}"))
    if policy not in {None, "Max", "Min", "Disabled"}:
        valid = ("Disabled", "Max", "Min")
        errors.append(unsupported(f"{path}.selectPolicy", str(policy), valid))
    policies = rules.get("policies") or ()
    if not policies:
        errors.append(required(f"{path}.policies", "must specify at least one Policy"))
    for index, one in enumerate(policies):
        errors += _policy(one, f"{path}.policies[{index}]")
    return errors


def _policy(policy: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    kind, value, period = (policy.get(f) for f in ("type", "value", "periodSeconds"))
    if kind not in {"Pods", "Percent"}:
        errors.append(unsupported(f"{path}.type", str(kind or ""), ("Percent", "Pods")))
    for field, number in (("value", value or 0), ("periodSeconds", period or 0)):
        if number <= 0:
            errors.append(invalid(f"{path}.{field}", number, "must be greater than zero"))
    if (period or 0) > _PERIOD_MAX:
        text = f"must be less than or equal to {_PERIOD_MAX}"
        errors.append(invalid(f"{path}.periodSeconds", period, text))
    return errors
