"""Validation of HorizontalPodAutoscalers. Upstream: pkg/apis/autoscaling/validation."""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, required
from tiphys.api.meta import Obj
from tiphys.api.quantity import normal, of
from tiphys.apiserver.resources.autoscaling.conversion import to_v2
from tiphys.apiserver.resources.rules.resource_requirements import container_resource_name
from tiphys.apiserver.resources.rules.texts import NOT_NEGATIVE, each, unsupported

_TYPES: Final = ("ContainerResource", "External", "Object", "Pods", "Resource")
# Type -> field, in the order in which upstream looks for sources.
_SOURCES: Final = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_TARGETS: Final = ("Utilization", "Value", "AverageValue")
_WINDOW_MAX: Final = 3600
_PERIOD_MAX: Final = 1800


def validate_v1(autoscaler: Obj) -> list[FieldError]:
    return validate(to_v2(autoscaler))


def validate(autoscaler: Obj) -> list[FieldError]:
    spec = autoscaler["spec"]
    least, target = spec.get("minReplicas"), spec.get("scaleTargetRef") or {}
    # The only kind of the core group that has a scale.
    needs_group = target.get("kind") != "ReplicationController"
    errors = _counts(least, spec.get("maxReplicas", 0))
    errors += _reference(target, "spec.scaleTargetRef", needs_group=needs_group)
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


def _counts(least: int | None, most: int) -> list[FieldError]:
    errors: list[FieldError] = []
    if least is not None and least < 1:
        text = "must be greater than or equal to 1"
        errors.append(invalid("spec.minReplicas", least, text))
    if most == 0:
        errors.append(required("spec.maxReplicas", "must be set and greater than 0"))
    elif most < 0:
        text = "must be greater than or equal to 1"
        errors.append(invalid("spec.maxReplicas", most, text))
    if least is not None and most < least:
        text = "must be greater than or equal to `minReplicas`"
        errors.append(invalid("spec.maxReplicas", most, text))
    return errors


def _reference(ref: Obj, path: str, *, needs_group: bool) -> list[FieldError]:
    errors = _named(ref, path)
    version = ref.get("apiVersion", "")
    if version.count("/") > 1:
        text = f"unexpected GroupVersion string: {version}"
        errors.append(invalid(f"{path}.apiVersion", version, text))
    elif needs_group and not version.rpartition("/")[0]:
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
    """The first source is looked at, whatever the type says; then whether it is the type's only."""
    kind = metric.get("type", "")
    found = [(k, field) for k, field in _SOURCES.items() if metric.get(field) is not None]
    errors: list[FieldError] = []
    if not kind:
        errors.append(required(f"{path}.type", "must specify a metric source type"))
    wrong = [] if kind in _SOURCES else [unsupported(f"{path}.type", kind, _TYPES)]
    errors += wrong
    for first, field in found[:1]:
        errors += _source(first, metric[field], f"{path}.{field}")
    own = _SOURCES.get(kind)
    if own is not None and metric.get(own) is None:
        text = "must populate information for the given metric source"
        errors.append(required(f"{path}.{own}", text))
    errors += wrong  # Upstream looks twice.
    if len(found) == 1:
        return errors
    text = "must populate the given metric source only"
    return errors + [forbidden(f"{path}.{field}", text) for _, field in found if field != own]


def _source(kind: str, source: Obj, where: str) -> list[FieldError]:
    target = source.get("target") or {}
    match kind:
        case "Object":
            described = source.get("describedObject") or {}
            errors = _reference(described, f"{where}.describedObject", needs_group=False)
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
    name = source.get("name")
    if not name:
        errors.append(required(f"{path}.name", "must specify a resource name"))
    elif kind == "ContainerResource":
        errors += container_resource_name(name, f"{path}.name")
    if kind == "ContainerResource":
        container = source.get("container", "")
        if not container:
            errors.append(required(f"{path}.container", "must specify a container"))
        else:
            errors += each(f"{path}.container", container, names.dns_label(container))
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
    tolerance = rules.get("tolerance")
    if tolerance is not None and of(tolerance).nanos < 0:
        errors.append(invalid(f"{path}.tolerance", normal(tolerance), NOT_NEGATIVE))
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
