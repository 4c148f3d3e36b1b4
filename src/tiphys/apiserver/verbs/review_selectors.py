"""Selectors in reviews: what a list that is asked about would be narrowed to.

Upstream: pkg/apis/authorization/validation/validation.go, pkg/registry/authorization/util.
"""

from typing import Final, NamedTuple

from tiphys.api import fields, labels
from tiphys.api.field_errors import FieldError, forbidden, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.texts import label_name

_VALUED: Final = frozenset({"In", "NotIn"})
_VALUELESS: Final = frozenset({"Exists", "DoesNotExist"})
_PATH: Final = "spec.resourceAttributes"


def validate(attributes: Obj) -> list[FieldError]:
    """Unknown operators are for versions to come: they are let pass, and not looked at."""
    errors: list[FieldError] = []
    for field in ("fieldSelector", "labelSelector"):
        if attributes.get(field) is not None:
            errors += _selector(attributes[field], f"{_PATH}.{field}", field == "labelSelector")
    return errors


def _selector(selector: Obj, path: str, of_labels: bool) -> list[FieldError]:
    raw, requirements = selector.get("rawSelector", ""), selector.get("requirements") or ()
    errors: list[FieldError] = []
    if raw and requirements:
        text = "may not specified at the same time as requirements"
        errors.append(invalid(f"{path}.rawSelector", raw, text))
    if not raw and not requirements:
        text = f"when {path} is specified, requirements or rawSelector is required"
        errors.append(required(f"{path}.requirements", text))
    for index, requirement in enumerate(requirements):
        errors += _requirement(requirement, f"{path}.requirements[{index}]", of_labels)
    return errors


def _requirement(requirement: Obj, path: str, of_labels: bool) -> list[FieldError]:
    key, operator = requirement.get("key", ""), requirement.get("operator", "")
    values = requirement.get("values") or ()
    wrong: list[FieldError] = []
    if operator in _VALUED and not values:
        text = "must be specified when `operator` is 'In' or 'NotIn'"
        wrong = [required(f"{path}.values", text)]
    if operator in _VALUELESS and values:
        text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        wrong = [forbidden(f"{path}.values", text)]
    if of_labels:
        return wrong + label_name(key, f"{path}.key")
    return ([] if key else [required(f"{path}.key", "must be specified")]) + wrong


class Read(NamedTuple):
    """What could be read of the selectors; errors as the review's status tells them."""

    node: str  # The one value that spec.nodeName must have, or "".
    errors: list[str]


def read(attributes: Obj) -> Read:
    """What cannot be read is left out, which asks for more than was meant."""
    found, is_whole = _fields(attributes.get("fieldSelector") or {})
    errors = _told("fieldSelector", is_whole, bool(found))
    node = next((r.value for r in found if r.field == "spec.nodeName" and r.equal), "")
    is_whole, has_some = _labels(attributes.get("labelSelector") or {})
    return Read(node, errors + _told("labelSelector", is_whole, has_some))


def _told(field: str, is_whole: bool, has_some: bool) -> list[str]:
    if is_whole:
        return []
    part = " partially" if has_some else ""
    return [f"{_PATH}.{field}{part} ignored due to parse error"]


def _fields(selector: Obj) -> tuple[list[fields.FieldRequirement], bool]:
    """The requirements, and whether these are all."""
    requirements = selector.get("requirements") or ()
    if not requirements:
        try:
            return list(fields.parse(selector.get("rawSelector", "")).requirements), True
        except fields.FieldSelectorError:
            return [], False
    found = [
        fields.FieldRequirement(r.get("key", ""), r["values"][0], r["operator"] == "In")
        for r in requirements
        if r.get("operator") in _VALUED and len(r.get("values") or ()) == 1
    ]
    return found, len(found) == len(requirements)


def _labels(selector: Obj) -> tuple[bool, bool]:
    """Whether all requirements are understood, and whether any is."""
    requirements = selector.get("requirements") or ()
    if not requirements:
        try:
            labels.parse(selector.get("rawSelector", ""))
        except labels.SelectorError:
            return False, False
        return True, True
    understood = [_is_understood(r) for r in requirements]
    return all(understood), any(understood)


def _is_understood(requirement: Obj) -> bool:
    try:
        labels.from_object({"matchExpressions": [requirement]})
    except labels.SelectorError:
        return False
    return requirement.get("operator") in _VALUED | _VALUELESS
