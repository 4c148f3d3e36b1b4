"""Validation of LimitRanges. Upstream: pkg/apis/core/validation/validation.go."""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, duplicate, forbidden, invalid, required
from tiphys.api.meta import Obj
from tiphys.api.quantity import of
from tiphys.apiserver.resources.rules.resource_requirements import (
    container_resource_name,
    is_overcommit_allowed,
    resource_name,
)
from tiphys.apiserver.resources.rules.texts import each

_TYPES: Final = frozenset({"Pod", "Container", "PersistentVolumeClaim"})
_FIELDS: Final = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def validate(limit_range: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, limit in enumerate(limit_range["spec"].get("limits") or ()):
        path, kind = f"spec.limits[{index}]", limit.get("type", "")
        errors += _type(kind, f"{path}.type")
        if kind in seen:
            errors.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
        errors += _limit(limit, kind, path)
    return errors


def _type(kind: str, path: str) -> list[FieldError]:
    errors = each(path, kind, names.qualified_name(kind))
    if not errors and "/" not in kind and kind not in _TYPES:
        errors.append(invalid(path, kind, "must be a standard limit type or fully qualified"))
    return errors


def _limit(limit: Obj, kind: str, path: str) -> list[FieldError]:
    values = {f: limit.get(f) or {} for f in _FIELDS}
    of_containers = kind in {"Container", "Pod"}
    check = container_resource_name if of_containers else resource_name
    errors: list[FieldError] = []
    for field in ("max", "min"):
        for name in sorted(values[field]):
            errors += check(name, f"{path}.{field}[{name}]")
    if kind == "Pod":
        for field in ("default", "defaultRequest"):
            if values[field]:
                text = "may not be specified when `type` is 'Pod'"
                errors.append(forbidden(f"{path}.{field}", text))
    else:
        for field in ("default", "defaultRequest"):
            for name in sorted(values[field]):
                errors += check(name, f"{path}.{field}[{name}]")
    bounded = "storage" in values["min"] or "storage" in values["max"]
    if kind == "PersistentVolumeClaim" and not bounded:
        text = "either minimum or maximum storage value is required, but neither was provided"
        errors.append(required(f"{path}.limits", text))
    for name in sorted(values["maxLimitRequestRatio"]):
        errors += check(name, f"{path}.maxLimitRequestRatio[{name}]")
    for name in sorted({n for f in _FIELDS for n in values[f]}):
        errors += _order(values, name, path)
    return errors


# The lower field, the one it must not exceed, where the error is, and whose value it shows.
_ORDER: Final = (
    ("min", "max", "min", "min"),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "default", "defaultRequest", "defaultRequest"),
    ("min", "default", "default", "min"),
    ("default", "max", "default", "max"),
)
_CALLED: Final = {"defaultRequest": "default request"}


def _order(values: dict[str, Obj], name: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for low, high, place, shown in _ORDER:
        a, b = values[low].get(name), values[high].get(name)
        if a is not None and b is not None and of(b) < of(a):
            where = f"{path}.{place}[{name}]"
            above = "default limit" if (low, high) == ("defaultRequest", "default") else high
            above = _CALLED.get(above, above)
            text = f"{_CALLED.get(low, low)} value {a} is greater than {above} value {b}"
            errors.append(invalid(where, values[shown][name], text))
    errors += _ratio(values, name, f"{path}.maxLimitRequestRatio[{name}]")
    default, request = values["default"].get(name), values["defaultRequest"].get(name)
    if not is_overcommit_allowed(name) and default and request and of(default) != of(request):
        where = f"{path}.defaultRequest[{name}]"
        text = f"default value {default} must equal to defaultRequest value {request} in {name}"
        errors.append(invalid(where, request, text))
    return errors


def _ratio(values: dict[str, Obj], name: str, path: str) -> list[FieldError]:
    ratio = values["maxLimitRequestRatio"].get(name)
    if ratio is None:
        return []
    errors: list[FieldError] = []
    if of(ratio) < of(1):
        errors.append(invalid(path, ratio, f"ratio {ratio} is less than 1"))
    low, high = values["min"].get(name), values["max"].get(name)
    if low is not None and high is not None and of(low).nanos:
        limit = of(high).nanos / of(low).nanos
        if of(ratio).nanos / 10**9 > limit:
            text = f"ratio {ratio} is greater than max/min = {limit:f}"
            errors.append(invalid(path, ratio, text))
    return errors
