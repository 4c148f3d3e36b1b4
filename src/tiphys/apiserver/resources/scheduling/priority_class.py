"""PriorityClass. Upstream: pkg/registry/scheduling/priorityclass."""

from typing import Final

from tiphys.api.field_errors import FieldError, forbidden, invalid
from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource, no_errors
from tiphys.apiserver.resources.rules.texts import IMMUTABLE, unsupported

_INFO = built_in("scheduling.k8s.io", "v1", "priorityclasses")


def default(priority_class: Obj) -> None:
    priority_class.setdefault("preemptionPolicy", "PreemptLowerPriority")


def before_create(priority_class: Obj) -> None:
    generation.start(priority_class)


def before_update(new: Obj, old: Obj) -> None:
    generation.bump(new, old)


_USER_VALUE_MAX = 1_000_000_000
_SYSTEM: Final = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


def validate(priority_class: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    name = priority_class["metadata"].get("name", "")
    if name.startswith("system-"):
        if problem := _system_problem(priority_class, name):
            text = "priority class names with 'system-' prefix are reserved for system use only."
            errors.append(forbidden("metadata.name", f"{text} error: {problem}"))
    elif priority_class.get("value", 0) > _USER_VALUE_MAX:
        text = f"maximum allowed value of a user defined priority is {_USER_VALUE_MAX}"
        errors.append(forbidden("value", text))
    policy = priority_class.get("preemptionPolicy", "")
    if policy not in {"PreemptLowerPriority", "Never"}:
        valid = ("PreemptLowerPriority", "Never")
        errors.append(unsupported("preemptionPolicy", policy, valid))
    return errors


def _system_problem(priority_class: Obj, name: str) -> str:
    """Why it is not the class of the system that its name says, or nothing."""
    value = _SYSTEM.get(name)
    if value is None:
        return f"{name} is not a known system priority class"
    if priority_class.get("value", 0) != value:
        return f"value of {name} PriorityClass must be {value}"
    if priority_class.get("globalDefault"):
        return f"globalDefault of {name} PriorityClass must be false"
    return ""


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    if new.get("value", 0) != old.get("value", 0):
        errors.append(forbidden("value", "may not be changed in an update."))
    if new.get("preemptionPolicy") != old.get("preemptionPolicy"):
        errors.append(invalid("preemptionPolicy", new.get("preemptionPolicy"), IMMUTABLE))
    return errors


PRIORITY_CLASS = Resource(
    _INFO,
    validate=validate,
    validate_again=no_errors,
    validate_update=validate_update,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("value", default=0),
        cells.value("globalDefault", default=False),
        cells.age,
        cells.value("preemptionPolicy"),
    ),
    default=default,
    before_create=before_create,
    before_update=before_update,
)
