"""CsiNode. Upstream: pkg/registry/storage/csinode."""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, duplicate, invalid, required
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.semantic import semantically_equal
from tiphys.apiserver.resources.rules.texts import IMMUTABLE, NOT_NEGATIVE, each, repeats
from tiphys.apiserver.resources.storage.rules import driver_name

_INFO = built_in("storage.k8s.io", "v1", "csinodes")
_NODE_ID_MAX: Final = 256  # csiNodeIDLongerMaxLength


def validate(node: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, driver in enumerate(node["spec"].get("drivers") or ()):
        path, name = f"spec.drivers[{index}]", driver.get("name", "")
        errors += driver_name(name, f"{path}.name")
        errors += _node_id(driver.get("nodeID", ""), f"{path}.nodeID")
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None and count < 0:
            errors.append(invalid(f"{path}.allocatable.count", count, NOT_NEGATIVE))
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
        errors += _topology_keys(driver.get("topologyKeys") or [], path)
    return errors


def _node_id(node_id: str, path: str) -> list[FieldError]:
    if not node_id:
        return [required(path)]
    if len(node_id.encode()) > _NODE_ID_MAX:
        return [invalid(path, node_id, f"must be {_NODE_ID_MAX} characters or less")]
    return []


def _topology_keys(keys: list[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    again = set(repeats(keys))
    for index, key in enumerate(keys):
        if not key:
            errors.append(required(path))
        if index in again:
            errors.append(duplicate(path, key))
        errors += each(path, key, names.qualified_name(key))
    return errors


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    """A driver's entry changes in nothing but how many volumes it takes."""
    errors: list[FieldError] = []
    for before in old["spec"].get("drivers") or ():
        for driver in new["spec"].get("drivers") or ():
            if driver.get("name") != before.get("name"):
                continue
            then, now = (_without_allocatable(d) for d in (before, driver))
            if not semantically_equal(now, then):
                shown = go_form(now, "storage.v1.CSINodeDriver")
                errors.append(invalid("spec.drivers", shown, IMMUTABLE))
    return errors


def _without_allocatable(driver: Obj) -> Obj:
    return {k: v for k, v in driver.items() if k != "allocatable"}


CSI_NODE = Resource(
    _INFO,
    validate=validate,
    validate_update=validate_update,
    allow_unconditional_update=False,
    columns=columns_of(_INFO, cells.name, cells.count("spec", "drivers"), cells.age),
)
