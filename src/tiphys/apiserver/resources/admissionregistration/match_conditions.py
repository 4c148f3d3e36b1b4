"""Conditions that a request must meet before a webhook or a policy is asked.

Upstream: pkg/apis/admissionregistration/validation/validation.go (validateMatchConditions).
"""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, duplicate, invalid, required, too_many
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.texts import each

_CONDITIONS_MAX: Final = 64


def condition_errors(conditions: list[Obj], path: str, *, has_params: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    if len(conditions) > _CONDITIONS_MAX:
        errors.append(too_many(path, len(conditions), _CONDITIONS_MAX))
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        where, name = f"{path}[{index}]", condition.get("name", "")
        expression = condition.get("expression", "").strip()
        if not expression:
            errors.append(required(f"{where}.expression"))
        else:
            errors += _expression(expression, f"{where}.expression", has_params=has_params)
        if not name:
            errors.append(required(f"{where}.name"))
            continue
        errors += each(f"{where}.name", name, names.qualified_name(name))
        if name in seen:
            errors.append(duplicate(f"{where}.name", name))
        seen.add(name)
    return errors


def _expression(text: str, path: str, *, has_params: bool) -> list[FieldError]:
    """The language is loaded with the first expression."""
    from tiphys.apiserver.policies.compiling import PolicyCompiler

    found = PolicyCompiler(has_params=has_params, has_variables=False).condition(text)
    return [invalid(path, text, found.error)] if found.error else []
