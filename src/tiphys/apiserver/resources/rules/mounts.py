"""Volumes in containers: mounts and block devices.

Upstream: pkg/apis/core/validation/validation.go (ValidateVolumeMounts, ValidateVolumeDevices).
"""

from collections.abc import Mapping

from tiphys.api.field_errors import (
    FieldError,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.paths import local_descending


def _paths(container: Obj, field: str, path: str) -> dict[str, str]:
    """Where the container has each volume. Of a name that comes twice the last one counts."""
    return {v.get("name", ""): v.get(path, "") for v in container.get(field) or ()}


def mounts(container: Obj, path: str, volumes: Mapping[str, Obj]) -> list[FieldError]:
    values = container.get("volumeMounts")
    if not values:
        return []
    errors: list[FieldError] = []
    used = _paths(container, "volumeDevices", "devicePath")
    taken = set(used.values())
    seen: set[str] = set()
    for index, mount in enumerate(values):
        where = f"{path}.volumeMounts[{index}]"
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.append(required(f"{where}.name"))
        if name not in volumes:
            errors.append(not_found(f"{where}.name", name))
        if not target:
            errors.append(required(f"{where}.mountPath"))
        if target in seen:
            errors.append(invalid(f"{where}.mountPath", target, "must be unique"))
        seen.add(target)
        if name in used:
            text = "must not already exist in volumeDevices"
            errors.append(invalid(f"{where}.name", name, text))
        if target in taken:
            text = "must not already exist as a path in volumeDevices"
            errors.append(invalid(f"{where}.mountPath", target, text))
        errors += _mount_options(mount, container, f"{path}.volumeMounts", where)
    return errors


def _mount_options(mount: Obj, container: Obj, path: str, where: str) -> list[FieldError]:
    errors: list[FieldError] = []
    sub, expression = mount.get("subPath", ""), mount.get("subPathExpr", "")
    if sub:
        errors += local_descending(sub, f"{path}.subPath")
    if expression:
        if sub:
            text = "subPathExpr and subPath are mutually exclusive"
            errors.append(invalid(f"{where}.subPathExpr", expression, text))
        errors += local_descending(expression, f"{path}.subPathExpr")
    mode = mount.get("mountPropagation")
    if mode is not None:
        valid = ("Bidirectional", "HostToContainer", "None")
        if mode not in valid:
            errors.append(not_supported(f"{path}.mountPropagation", mode, valid))
        privileged = (container.get("securityContext") or {}).get("privileged")
        if mode == "Bidirectional" and not privileged:
            text = "Bidirectional mount propagation is available only to privileged containers"
            errors.append(forbidden(f"{path}.mountPropagation", text))
    recursive = mount.get("recursiveReadOnly")
    where = f"{path}.recursiveReadOnly"
    if recursive in {"Enabled", "IfPossible"}:
        if not mount.get("readOnly"):
            errors.append(forbidden(where, "may only be specified when readOnly is true"))
        if mode not in {None, "None"}:
            text = "may only be specified when mountPropagation is None or not specified"
            errors.append(forbidden(where, text))
    elif recursive not in {None, "Disabled"}:
        errors.append(not_supported(where, recursive, ("Disabled", "Enabled", "IfPossible")))
    return errors


def devices(container: Obj, path: str, volumes: Mapping[str, Obj]) -> list[FieldError]:
    values = container.get("volumeDevices")
    if not values:
        return []
    errors: list[FieldError] = []
    used = _paths(container, "volumeMounts", "mountPath")
    taken = set(used.values())
    seen_names: set[str] = set()
    seen_paths: set[str] = set()
    for index, device in enumerate(values):
        where = f"{path}.volumeDevices[{index}]"
        name, target = device.get("name", ""), device.get("devicePath", "")
        if not name:
            errors.append(required(f"{where}.name"))
        if name in seen_names:
            errors.append(invalid(f"{where}.name", name, "must be unique"))
        volume = volumes.get(name)
        if volume is None:
            errors.append(not_found(f"{where}.name", name))
        elif "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
            text = (
                "can only use volume source type of PersistentVolumeClaim or Ephemeral "
                "for block mode"
            )
            errors.append(invalid(f"{where}.name", name, text))
        if not target:
            errors.append(required(f"{where}.devicePath"))
        if target in seen_paths:
            errors.append(invalid(f"{where}.devicePath", target, "must be unique"))
        if target and ".." in target.split("/"):
            text = "can not contain backsteps ('..')"
            errors.append(invalid(f"{where}.devicePath", target, text))
        else:
            seen_paths.add(target)
        if name in used:
            text = "must not already exist in volumeMounts"
            errors.append(invalid(f"{where}.name", name, text))
        if target in taken:
            text = "must not already exist as a path in volumeMounts"
            errors.append(invalid(f"{where}.devicePath", target, text))
        if name:
            seen_names.add(name)
    return errors
