"""Objects of the group that must stay as the server made them, and the conditions of all.

Upstream: pkg/apis/flowcontrol/validation/validation.go, internalbootstrap.
"""

from typing import Any, Final

from tiphys.api.field_errors import FieldError, duplicate, invalid, required
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj, at, name_of
from tiphys.apiserver.fairness.bootstrap_objects import (
    MANDATORY,
    flow_schemas,
    priority_levels,
)
from tiphys.apiserver.resources.rules.semantic import semantically_equal

_EXEMPT: Final = "exempt"


def schema_errors(flow_schema: Obj) -> list[FieldError]:
    name, spec = name_of(flow_schema), flow_schema["spec"]
    if name not in MANDATORY or semantically_equal(spec, _spec(flow_schemas(), name)):
        return []
    shown = go_form(spec, "flowcontrol.v1.FlowSchemaSpec")
    return [invalid("spec", shown, f"spec of '{name}' must equal the fixed value")]


def level_errors(level: Obj) -> list[FieldError]:
    """Of the exempt one an administrator may change what it lends."""
    name, spec = name_of(level), level["spec"]
    if name not in MANDATORY:
        return []
    fixed = _spec(priority_levels(), name)
    is_exempt = name == _EXEMPT
    if semantically_equal(_without_exempt(spec), _without_exempt(fixed)) and (
        is_exempt or "exempt" not in spec
    ):
        return []
    but = "except the 'spec.exempt' field " if is_exempt else ""
    shown = go_form(spec, "flowcontrol.v1.PriorityLevelConfigurationSpec")
    return [invalid("spec", shown, f"spec of '{name}' {but}must equal the fixed value")]


def _spec(objects: list[Obj], name: str) -> Any:
    return next(o["spec"] for o in objects if name_of(o) == name)


def _without_exempt(spec: Obj) -> Obj:
    return {k: v for k, v in spec.items() if k != "exempt"}


def condition_errors(new: Obj, old: Obj) -> list[FieldError]:
    """Of a status."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, condition in enumerate(at(new, "status", "conditions", default=[])):
        path, kind = f"status.conditions[{index}].type", condition.get("type", "")
        if kind in seen:
            errors.append(duplicate(path, kind))
        seen.add(kind)
        if not kind:
            errors.append(required(path))
    return errors
