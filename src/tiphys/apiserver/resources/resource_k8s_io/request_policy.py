"""How much of a device's capacity may be asked for.

Upstream: pkg/apis/resource/validation (validateRequestPolicy).
"""

import itertools
from typing import Final

from tiphys.api.field_errors import FieldError, forbidden, invalid, required
from tiphys.api.meta import Obj
from tiphys.api.quantity import Quantity, of
from tiphys.apiserver.resources.resource_k8s_io.bounded import unique_of

OPTIONS_MAX: Final = 10  # CapacityRequestPolicyDiscreteMaxOptions


def request_policy(capacity: str, policy: Obj, path: str) -> list[FieldError]:
    """capacity: what the device has, a quantity's text."""
    values, bounds, default = (policy.get(f) for f in ("validValues", "validRange", "default"))
    if values and bounds is not None:
        text = (
            'exactly one policy can be specified, cannot specify "validValues" and "validRange" at '
            "the same time"
        )
        return [forbidden(path, text)]
    for field, found in (("validValues", values), ("validRange", bounds)):
        if (not found and field == "validValues") or found is None:
            continue
        if default is None:
            return [required(f"{path}.default", f"required when {field} is defined")]
        if field == "validValues":
            return _values(default, capacity, found, f"{path}.validValues")
        return _range(default, capacity, found, f"{path}.validRange")
    return []


def _values(default: str, capacity: str, values: list[str], path: str) -> list[FieldError]:
    errors = [
        invalid(f"{path}[{i + 1}]", after, "values must be sorted in ascending order")
        for i, (before, after) in enumerate(itertools.pairwise(values))
        if of(after) < of(before)
    ]

    def within(value: str, where: str) -> list[FieldError]:
        if of(value) <= of(capacity):
            return []
        return [invalid(where, value, f"option is larger than capacity value: {capacity}")]

    errors += unique_of(values, OPTIONS_MAX, within, lambda v: str(of(v).value), path)
    if of(default) not in [of(value) for value in values]:
        text = "default value is not valid according to the requestPolicy"
        errors.append(invalid(path, default, text))
    return errors


def _range(default: str, capacity: str, bounds: Obj, path: str) -> list[FieldError]:
    low, high, step = (bounds.get(f) for f in ("min", "max", "step"))
    if low is None:
        return [required(f"{path}.min", "required when validRange is defined")]
    errors: list[FieldError] = []

    def ordered(smaller: str, larger: str, field: str, shown: str, text: str) -> None:
        if of(larger) < of(smaller):
            errors.append(invalid(f"{path}.{field}", shown, text))

    ordered(low, capacity, "min", low, f"min is larger than capacity value: {capacity}")
    ordered(low, default, "default", default, f"default is less than min: {low}")
    if high is not None:
        ordered(low, high, "max", low, f"min is larger than max: {high}")
        ordered(high, capacity, "max", high, f"max is larger than capacity value: {capacity}")
        ordered(default, high, "default", default, f"default is more than max: {high}")
    if step is not None:
        errors += _step(default, capacity, low, high, step, f"{path}.step")
    return errors


def _step(
    default: str, capacity: str, low: str, high: str | None, step: str, path: str
) -> list[FieldError]:
    if of(step).nanos <= 0:
        return [invalid(path, step, "must be greater than zero")]
    errors: list[FieldError] = []
    one = of(low) + of(step)
    if of(capacity) < one:
        text = f"one step {_text(one)} is larger than capacity value: {capacity}"
        errors.append(invalid(path, step, text))
    for value in (default, high):
        if value is not None and (of(value).value - of(low).value) % max(of(step).value, 1):
            text = f"value is not a multiple of a given step ({step}) from ({low})"
            errors.append(invalid(path, value, text))
    return errors


def _text(amount: Quantity) -> str:
    return str(amount)
