"""PersistentVolume. Upstream: pkg/registry/core/persistentvolume."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at, rfc3339
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.core import persistent_volume_rules
from tiphys.apiserver.resources.core.persistent_volume_update import validate_update
from tiphys.apiserver.resources.core.volume_cells import access_modes, phase, storage_class
from tiphys.apiserver.resources.pod_template import default_old_volume, round_up
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings
from tiphys.apiserver.user import User

_INFO = built_in("", "v1", "persistentvolumes")


def default(volume: Obj) -> None:
    volume["spec"].setdefault("persistentVolumeReclaimPolicy", "Retain")
    volume["spec"].setdefault("volumeMode", "Filesystem")
    round_up(volume["spec"].get("capacity") or {})
    volume.setdefault("status", {}).setdefault("phase", "Pending")
    if "hostPath" in volume["spec"]:
        volume["spec"]["hostPath"].setdefault("type", "")
    default_old_volume(volume["spec"])


def before_create(volume: Obj) -> None:
    volume["status"] = {
        "phase": "Pending",
        "lastPhaseTransitionTime": volume["metadata"].get("creationTimestamp"),
    }


def note_request(new: Obj, old: Obj | None, user: User, now: datetime) -> None:
    """Since when the volume is in its phase; who sets the phase may know better."""
    del user
    if old is None:
        return
    status, before = new.get("status") or {}, old.get("status") or {}
    field = "lastPhaseTransitionTime"
    if status.get("phase") != before.get("phase"):
        if status.get(field) in {None, before.get(field)}:
            new["status"] = status | {field: rfc3339(now)}
    elif field in before and status.get(field) is None:
        new["status"] = status | {field: before[field]}


def _claim(volume: Obj, _: datetime) -> Any:
    claim = at(volume, "spec", "claimRef")
    return "" if claim is None else f"{claim.get('namespace', '')}/{claim.get('name', '')}"


PERSISTENT_VOLUME = Resource(
    _INFO,
    warnings=warnings.persistent_volume,
    validate=persistent_volume_rules.validate,
    validate_update=validate_update,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("spec", "capacity", "storage", default="0"),
        access_modes("spec", "accessModes"),
        cells.value("spec", "persistentVolumeReclaimPolicy"),
        phase,
        _claim,
        storage_class,
        cells.value("spec", "volumeAttributesClassName", default="<unset>"),
        cells.value("status", "reason"),
        cells.age,
        cells.value("spec", "volumeMode", default="<unset>"),
    ),
    default=default,
    before_create=before_create,
    note_request=note_request,
    before_update=generation.keep_status,
    before_status_update=generation.status_updated,
)
