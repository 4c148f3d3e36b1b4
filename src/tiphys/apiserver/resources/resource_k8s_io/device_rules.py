"""Selectors, tolerations, taints and configuration of devices.

Upstream: pkg/apis/resource/validation/validation.go.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from tiphys.api import names as api_names
from tiphys.api.field_errors import (
    FieldError,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
)
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.resource_k8s_io.bounded import each_of
from tiphys.apiserver.resources.rules.texts import each, label_name, repeats
from tiphys.apiserver.resources.storage.rules import driver_name

SELECTORS_MAX: Final = 32  # DeviceSelectorsMaxSize
CONFIGS_MAX: Final = 32  # DeviceConfigMaxSize
EXPRESSION_BYTES_MAX: Final = 10 * 1024  # CELSelectorExpressionMaxLength
PARAMETERS_BYTES_MAX: Final = 10 * 1024  # OpaqueParametersMaxLength
BINDING_CONDITIONS_MAX: Final = 4  # BindingConditionsMaxSize
EFFECTS: Final = ("NoExecute", "NoSchedule", "None")


def selectors(values: Sequence[Obj] | None, path: str) -> list[FieldError]:
    return each_of(values or (), SELECTORS_MAX, _selector, path)


def _selector(selector: Obj, path: str) -> list[FieldError]:
    if selector.get("cel") is None:
        return [required(f"{path}.cel")]
    expression = selector["cel"].get("expression", "")
    if len(expression.encode()) > EXPRESSION_BYTES_MAX:
        return [too_long(f"{path}.cel.expression", EXPRESSION_BYTES_MAX)]
    from tiphys.apiserver.resources.resource_k8s_io.device_selectors import expression_errors

    return expression_errors(expression, f"{path}.cel.expression")


def configuration(config: Obj, path: str) -> list[FieldError]:
    """Of a request or a class: what a driver is told."""
    opaque = config.get("opaque")
    if opaque is None:
        return [required(f"{path}.opaque")]
    errors = driver_name(opaque.get("driver", ""), f"{path}.opaque.driver")
    found = opaque.get("parameters")
    return errors + raw(found, f"{path}.opaque.parameters", PARAMETERS_BYTES_MAX)


def raw(value: Any, path: str, bytes_max: int) -> list[FieldError]:
    """A JSON object of somebody else's."""
    if value is None:
        return [required(path)]
    if len(orjson.dumps(value)) > bytes_max:
        return [too_long(path, bytes_max)]
    if not isinstance(value, dict):
        return [invalid(path, "<value omitted>", "must be a valid JSON object")]
    return []


def toleration(value: Obj, path: str) -> list[FieldError]:
    errors = label_name(value["key"], f"{path}.key") if value.get("key") else []
    operator, effect = value.get("operator", ""), value.get("effect", "")
    found, where = value.get("value", ""), f"{path}.value"
    if operator == "Exists":
        if found:
            errors.append(invalid(where, found, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        errors += each(where, found, api_names.label_value(found))
    elif operator:
        errors.append(not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    else:
        errors.append(required(f"{path}.operator"))
    if effect and effect not in EFFECTS:
        errors.append(not_supported(f"{path}.effect", effect, EFFECTS))
    return errors


def taint(value: Obj, path: str) -> list[FieldError]:
    errors = label_name(value.get("key", ""), f"{path}.key")
    found, effect = value.get("value", ""), value.get("effect", "")
    errors += each(f"{path}.value", found, api_names.label_value(found))
    if not effect:
        errors.append(required(f"{path}.effect"))
    elif effect not in EFFECTS:
        errors.append(not_supported(f"{path}.effect", effect, EFFECTS))
    return errors


def binding_conditions(device: Obj, path: str) -> list[FieldError]:
    """Conditions of a bound device, and those that say that it failed: both or neither."""
    wanted = device.get("bindingConditions") or []
    failing = device.get("bindingFailureConditions") or []
    known = frozenset(wanted)
    errors: list[FieldError] = []
    lists = (("bindingConditions", wanted), ("bindingFailureConditions", failing))
    for field, values in lists:
        errors += each_of(values, BINDING_CONDITIONS_MAX, label_name, f"{path}.{field}")
    for field, values in lists:
        again = set(repeats(values))
        for index, value in enumerate(values):
            where = f"{path}.{field}[{index}]"
            if index in again:
                errors.append(duplicate(where, value))
            if values is failing and value in known:
                text = "bindingFailureConditions must not overlap with bindingConditions"
                errors.append(invalid(where, value, text))
    if failing and not wanted:
        text = "bindingConditions are required to use bindingFailureConditions"
        errors.append(invalid(f"{path}.bindingConditions", None, text))
    if wanted and not failing:
        text = "bindingFailureConditions are required to use bindingConditions"
        errors.append(invalid(f"{path}.bindingFailureConditions", None, text))
    return errors
