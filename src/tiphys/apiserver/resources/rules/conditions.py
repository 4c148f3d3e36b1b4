"""Conditions of a status, in the form that kinds of apimachinery have.

Upstream: apimachinery pkg/apis/meta/v1/validation/validation.go (ValidateConditions).
"""

import re
from collections.abc import Sequence
from typing import Final

from tiphys.api.field_errors import (
    FieldError,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
)
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.texts import label_name

REASON_BYTES_MAX: Final = 1024
MESSAGE_BYTES_MAX: Final = 32 * 1024
_STATUSES: Final = ("False", "True", "Unknown")
_REASON: Final = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?\Z")
_REASON_TEXT: Final = (
    "a condition reason must start with alphabetic character, optionally followed by a string of "
    "alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. "
    "'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex "
    "used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')"
)


def conditions(values: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, condition in enumerate(values):
        kind = condition.get("type", "")
        if kind in seen:
            errors.append(duplicate(f"{path}[{index}].type", kind))
        seen.add(kind)
        errors += _condition(condition, f"{path}[{index}]")
    return errors


def _condition(condition: Obj, path: str) -> list[FieldError]:
    errors = label_name(condition.get("type", ""), f"{path}.type")
    status = condition.get("status", "")
    if status not in _STATUSES:
        errors.append(not_supported(f"{path}.status", status, _STATUSES))
    generation = condition.get("observedGeneration", 0)
    if generation < 0:
        text = "must be greater than or equal to zero"
        errors.append(invalid(f"{path}.observedGeneration", generation, text))
    if not condition.get("lastTransitionTime"):
        errors.append(required(f"{path}.lastTransitionTime"))
    errors += _reason(condition.get("reason", ""), f"{path}.reason")
    if len(condition.get("message", "").encode()) > MESSAGE_BYTES_MAX:
        errors.append(too_long(f"{path}.message", MESSAGE_BYTES_MAX))
    return errors


def _reason(reason: str, path: str) -> list[FieldError]:
    if not reason:
        return [required(path)]
    errors = [] if _REASON.match(reason) else [invalid(path, reason, _REASON_TEXT)]
    if len(reason.encode()) > REASON_BYTES_MAX:
        errors.append(too_long(path, REASON_BYTES_MAX))
    return errors
