"""PersistentVolumeClaim. Upstream: pkg/registry/core/persistentvolumeclaim."""

from typing import Final

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import Cell, columns_of
from tiphys.apiserver.resources.core.persistent_volume_claim_update import (
    validate_status_update,
    validate_update,
)
from tiphys.apiserver.resources.core.volume_cells import access_modes, phase, storage_class
from tiphys.apiserver.resources.pod_template import default_claim_spec, round_up
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings
from tiphys.apiserver.resources.rules.claim_spec import claim_spec

_INFO = built_in("", "v1", "persistentvolumeclaims")


_OLD_SOURCES: Final = {
    ("", "PersistentVolumeClaim"),
    ("snapshot.storage.k8s.io", "VolumeSnapshot"),
}


def default(claim: Obj) -> None:
    default_claim_spec(claim["spec"])
    status = claim.setdefault("status", {})
    status.setdefault("phase", "Pending")
    for field in ("capacity", "allocatedResources"):
        round_up(status.get(field) or {})


def before_create(claim: Obj) -> None:
    claim["status"] = {"phase": "Pending"}
    _settle_sources(claim["spec"], {})


def before_update(new: Obj, old: Obj) -> None:
    generation.keep_status(new, old)
    _settle_sources(new["spec"], old["spec"])


def _settle_sources(spec: Obj, before: Obj) -> None:
    """Either of the two fields says what the other does.

    A reference into another namespace does not exist (CrossNamespaceVolumeDataSource is alpha). The
    field that came first takes no more kinds than at first if it stands alone; of others nothing is
    told. Source: pkg/api/persistentvolumeclaim/util.go.
    """
    had_ref = before.get("dataSourceRef") is not None
    if (spec.get("dataSourceRef") or {}).get("namespace") and not had_ref:
        del spec["dataSourceRef"]
    source, ref = spec.get("dataSource"), spec.get("dataSourceRef")
    has_source = had_ref or before.get("dataSource") is not None
    if source is not None and ref is None and not has_source and not _is_old_source(source):
        source = None
        del spec["dataSource"]
    if source is not None and ref is None:
        spec["dataSourceRef"] = dict(source)
    elif ref is not None and source is None and not ref.get("namespace"):
        spec["dataSource"] = {k: v for k, v in ref.items() if k != "namespace"}


def _is_old_source(source: Obj) -> bool:
    return (source.get("apiGroup") or "", source.get("kind")) in _OLD_SOURCES


def _bound(cell: Cell) -> Cell:
    return lambda claim, now: cell(claim, now) if at(claim, "spec", "volumeName") else ""


def validate(claim: Obj) -> list[FieldError]:
    return claim_spec(claim["spec"], "spec")


PERSISTENT_VOLUME_CLAIM = Resource(
    _INFO,
    warnings=warnings.claim,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    columns=columns_of(
        _INFO,
        cells.name,
        phase,
        cells.value("spec", "volumeName"),
        _bound(cells.value("status", "capacity", "storage", default="0")),
        _bound(access_modes("status", "accessModes")),
        storage_class,
        cells.value("spec", "volumeAttributesClassName", default="<unset>"),
        cells.age,
        cells.value("spec", "volumeMode", default="<unset>"),
    ),
    default=default,
    before_create=before_create,
    before_update=before_update,
    before_status_update=generation.status_updated,
)
