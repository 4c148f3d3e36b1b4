"""Validation of PersistentVolumes. Upstream: pkg/apis/core/validation/validation.go."""

import posixpath
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, not_supported, required
from tiphys.api.meta import Obj
from tiphys.api.quantity import of
from tiphys.apiserver.resources.rules import network_storage as network
from tiphys.apiserver.resources.rules.claim_spec import access_modes
from tiphys.apiserver.resources.rules.network_storage import Check
from tiphys.apiserver.resources.rules.paths import no_backsteps
from tiphys.apiserver.resources.rules.scheduling import node_selector
from tiphys.apiserver.resources.rules.texts import each
from tiphys.apiserver.resources.rules.volume import (
    ONE_TYPE,
    ONE_TYPE_NAMES,
    SHOWN_NAMES,
    SOURCES,
)

_RECLAIM: Final = ("Delete", "Recycle", "Retain")
_MODES: Final = ("Block", "Filesystem")


def validate(volume: Obj) -> list[FieldError]:
    spec = volume["spec"]
    errors = _access_modes(spec.get("accessModes") or [], "spec.accessModes")
    errors += _capacity(spec.get("capacity") or {})
    policy = spec["persistentVolumeReclaimPolicy"]
    if policy and policy not in _RECLAIM:
        errors.append(not_supported("spec.persistentVolumeReclaimPolicy", policy, _RECLAIM))
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        errors += _node_affinity(affinity)
    errors += _source(spec, "spec", volume["metadata"].get("name", ""))
    if policy == "Recycle" and _is_root(spec):
        text = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(forbidden("spec.persistentVolumeReclaimPolicy", text))
    name = spec.get("storageClassName", "")
    if name:
        errors += each("spec.storageClassName", name, names.dns_subdomain(name))
    if spec["volumeMode"] not in _MODES:
        errors.append(not_supported("spec.volumeMode", spec["volumeMode"], _MODES))
    return errors + _attributes_class(spec, "spec")


def inline_spec(spec: Obj, path: str) -> list[FieldError]:
    """Of a volume that is no object of its own: it belongs to a VolumeAttachment."""
    nowhere = "may not be specified in the context of inline volumes"
    errors = [forbidden(f"{path}.{f}", nowhere) for f in ("claimRef", "capacity") if spec.get(f)]
    if spec.get("csi") is None:
        text = "has to be specified in the context of inline volumes"
        errors.append(required(f"{path}.csi", text))
    errors += _access_modes(spec.get("accessModes") or [], f"{path}.accessModes")
    if spec.get("persistentVolumeReclaimPolicy", "") not in {"", "Retain"}:
        text = "may only be Retain in the context of inline volumes"
        errors.append(forbidden(f"{path}.persistentVolumeReclaimPolicy", text))
    if spec.get("nodeAffinity") is not None:
        errors.append(forbidden(f"{path}.nodeAffinity", nowhere))
    errors += _source(spec, path)
    if spec.get("storageClassName"):
        errors.append(forbidden(f"{path}.storageClassName", nowhere))
    if spec.get("volumeMode") not in {None, "Filesystem"}:
        text = "may not specify volumeMode other than Filesystem in the context of inline volumes"
        errors.append(forbidden(f"{path}.volumeMode", text))
    return errors + _attributes_class(spec, path)


def _access_modes(modes: list[str], path: str) -> list[FieldError]:
    return access_modes(modes, path) if modes else [required(path)]


def _capacity(capacity: Obj) -> list[FieldError]:
    path = "spec.capacity"
    errors = [] if capacity else [required(path)]
    if "storage" not in capacity or len(capacity) > 1:
        errors.append(not_supported(path, dict(sorted(capacity.items())) or None, ("storage",)))
    for name in sorted(capacity):
        where, value = f"{path}[{name}]", of(capacity[name])
        if value.nanos < 0:
            errors.append(invalid(where, value.value, "must be a valid resource quantity"))
        if value.nanos <= 0:
            errors.append(invalid(where, capacity[name], "must be greater than zero"))
    return errors


def _node_affinity(affinity: Obj) -> list[FieldError]:
    path = "spec.nodeAffinity.required"
    if affinity.get("required") is None:
        return [required(path, "must specify required node constraints")]
    return node_selector(affinity["required"], path)


def _source(spec: Obj, path: str, name: str = "") -> list[FieldError]:
    errors: list[FieldError] = []
    count = 0
    for field, check in _SOURCES.items():
        source = spec.get(field)
        if source is None:
            continue
        count += 1
        if count > 1 and field != "flexVolume":  # Which upstream forgot to count.
            errors.append(forbidden(f"{path}.{ONE_TYPE_NAMES.get(field, field)}", ONE_TYPE))
            continue
        where = f"{path}.{SHOWN_NAMES.get(field, field)}"
        if field == "iscsi":
            errors += network.iscsi_of_volume(source, where, name)
        else:
            errors += check(source, where)
        if field == "local" and "nodeAffinity" not in spec:
            errors.append(required(f"{path}.nodeAffinity", "Local volume requires node affinity"))
    if not count:
        errors.append(required(path, "must specify a volume type"))
    return errors


def _is_root(spec: Obj) -> bool:
    target = (spec.get("hostPath") or {}).get("path", "")
    return bool(target) and posixpath.normpath(target) in {"/", "//"}


def _attributes_class(spec: Obj, above: str) -> list[FieldError]:
    name = spec.get("volumeAttributesClassName")
    if name is None:
        return []
    path = f"{above}.volumeAttributesClassName"
    errors = [] if name else [required(path, "an empty string is disallowed")]
    errors += each(path, name, names.dns_subdomain(name) if name else ())
    if "csi" not in spec:
        text = "has to be specified when using volumeAttributesClassName"
        errors.append(required(f"{above}.csi", text))
    return errors


def _local(source: Obj, path: str) -> list[FieldError]:
    if not source.get("path"):
        return [required(f"{path}.path")]
    return no_backsteps(source["path"], f"{path}.path")


# What persistent volumes ask beside, or instead of, what volumes of pods do.
_OF_VOLUMES: Final[dict[str, Check]] = {
    "local": _local,
    "csi": network.csi_of_volume,
    "glusterfs": network.glusterfs_of_volume,
    "cinder": network.cinder_of_volume,
    "azureFile": network.azure_file_of_volume,
    "storageos": network.storage_os("name", "namespace"),
}
# In upstream's order, which decides which of two types is one too many.
_SOURCES: Final[dict[str, Check]] = {
    field: _OF_VOLUMES.get(field) or SOURCES[field]
    for field in (
        "hostPath",
        "gcePersistentDisk",
        "awsElasticBlockStore",
        "glusterfs",
        "flocker",
        "nfs",
        "rbd",
        "quobyte",
        "cephfs",
        "iscsi",
        "cinder",
        "fc",
        "flexVolume",
        "azureFile",
        "vsphereVolume",
        "photonPersistentDisk",
        "portworxVolume",
        "azureDisk",
        "scaleIO",
        "local",
        "storageos",
        "csi",
    )
}
SOURCE_FIELDS: Final = tuple(_SOURCES)
