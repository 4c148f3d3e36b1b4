"""What may change in a PersistentVolumeClaim and its status.

Upstream: pkg/apis/core/validation/validation.go (ValidatePersistentVolumeClaimUpdate,
ValidatePersistentVolumeClaimStatusUpdate).
"""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, not_supported, required
from tiphys.api.meta import Obj, annotations_of, at
from tiphys.api.quantity import of
from tiphys.apiserver.resources.rules.go_diff import go_diff
from tiphys.apiserver.resources.rules.resource_requirements import is_native
from tiphys.apiserver.resources.rules.semantic import semantically_equal
from tiphys.apiserver.resources.rules.texts import each, immutable

_SPEC: Final = "core.v1.PersistentVolumeClaimSpec"
_CLASS_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"
_UNCHANGEABLE: Final = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName "
    "for bound claims"
)
_RESIZE_STATUSES: Final = (
    "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizePending",
    "NodeResizeInProgress", "NodeResizeInfeasible",
)  # fmt: skip


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    spec, before = new["spec"], old["spec"]
    errors: list[FieldError] = []
    if not _is_moved_from_annotation(new, old):
        errors += _annotation(new, old)
    now, then = _compared(new, old)
    if not semantically_equal(now, then):
        difference = go_diff(then, now, _SPEC)
        errors.append(forbidden("spec", f"{_UNCHANGEABLE}\n{difference}"))
    errors += _size(spec, before, old)
    errors += immutable(spec.get("volumeMode"), before.get("volumeMode"), "volumeMode")
    return errors + _attributes_class(spec, before, old)


def _attributes_class(spec: Obj, before: Obj, old: Obj) -> list[FieldError]:
    """A claim whose volume has got a class keeps having one."""
    now, then = (s.get("volumeAttributesClassName") for s in (spec, before))
    if now or now == then or at(old, "status", "currentVolumeAttributesClassName") is None:
        return []
    what = "nil" if now is None else "empty string"
    text = f"update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"
    return [forbidden("spec.volumeAttributesClassName", text)]


def _compared(new: Obj, old: Obj) -> tuple[Obj, Obj]:
    """Both specs without what may differ."""
    now, then = dict(new["spec"]), dict(old["spec"])
    if not then.get("volumeName"):
        _take(then, now, "volumeName")
    is_new = "storageClassName" not in then and _is_same_class(now, old)
    if is_new or _is_moved_from_annotation(new, old):
        now.pop("storageClassName", None)
    if at(new, "status", "phase") == "Bound":
        _take(now, then, "volumeAttributesClassName")
        resources = now.get("resources") or {}
        if resources.get("requests") is not None:
            requests = resources["requests"] | {"storage": _storage(then) or "0"}
            now["resources"] = resources | {"requests": requests}
    return now, then


def _take(one: Obj, other: Obj, field: str) -> None:
    if field in other:
        one[field] = other[field]
    else:
        one.pop(field, None)


def _is_moved_from_annotation(new: Obj, old: Obj) -> bool:
    """A class that was noted in the old annotation may be written where it belongs."""
    then = annotations_of(old).get(_CLASS_ANNOTATION)
    return (
        then is not None
        and "storageClassName" not in old["spec"]
        and new["spec"].get("storageClassName") == then
        and annotations_of(new).get(_CLASS_ANNOTATION, then) == then
    )


def _is_same_class(now: Obj, old: Obj) -> bool:
    name = now.get("storageClassName")
    return name is not None and annotations_of(old).get(_CLASS_ANNOTATION, name) == name


def _annotation(new: Obj, old: Obj) -> list[FieldError]:
    now, then = (annotations_of(o).get(_CLASS_ANNOTATION, "") for o in (new, old))
    return immutable(now, then, f"metadata.annotations[{_CLASS_ANNOTATION}]")


def _storage(spec: Obj) -> str | None:
    found: str | None = at(spec, "resources", "requests", "storage")
    return found


def _size(spec: Obj, before: Obj, old: Obj) -> list[FieldError]:
    """A wish may shrink as long as it is more than what is there."""
    now, then = (of(_storage(s) or "0") for s in (spec, before))
    there = of(at(old, "status", "capacity", "storage") or "0")
    if then <= now or not now <= there:
        return []
    text = "field can not be less than status.capacity"
    return [forbidden("spec.resources.requests.storage", text)]


def validate_status_update(new: Obj, old: Obj) -> list[FieldError]:
    del old
    status = new.get("status") or {}
    errors: list[FieldError] = []
    if not new["spec"].get("accessModes"):
        errors.append(required("Spec.accessModes"))
    for name, value in sorted((status.get("capacity") or {}).items()):
        errors += _amount(value, f"status.capacity[{name}]")
    path = "status.allocatedResourceStatuses"
    for name, found in sorted((status.get("allocatedResourceStatuses") or {}).items()):
        errors += _resource_key(name, path)
        if found not in _RESIZE_STATUSES:
            errors.append(not_supported(path, name, _RESIZE_STATUSES))
    path = "status.allocatedResources"
    for name, value in sorted((status.get("allocatedResources") or {}).items()):
        errors += _resource_key(name, path) or _amount(value, f"{path}[{name}]")
    return errors


def _amount(value: str, path: str) -> list[FieldError]:
    amount = of(value)
    if amount.nanos >= 0:
        return []
    return [invalid(path, amount.value, "must be a valid resource quantity")]


def _resource_key(name: str, path: str) -> list[FieldError]:
    errors = each(path, name, names.qualified_name(name))
    if not errors and is_native(name) and name != "storage":
        errors.append(not_supported(path, name, ("storage",)))
    return errors
