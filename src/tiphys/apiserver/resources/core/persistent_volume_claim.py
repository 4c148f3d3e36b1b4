"""PersistentVolumeClaim. Upstream: pkg/registry/core/persistentvolumeclaim."""

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import Cell, columns_of
from tiphys.apiserver.resources.core.volume_cells import access_modes, phase, storage_class
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings
from tiphys.apiserver.resources.rules.claim_spec import claim_spec

_INFO = built_in("", "v1", "persistentvolumeclaims")


def default(claim: Obj) -> None:
    claim["spec"].setdefault("volumeMode", "Filesystem")
    claim.setdefault("status", {}).setdefault("phase", "Pending")
    source = claim["spec"].get("dataSource")
    if source is not None and "dataSourceRef" not in claim["spec"]:
        claim["spec"]["dataSourceRef"] = dict(source)


def before_create(claim: Obj) -> None:
    claim["status"] = {"phase": "Pending"}


def _bound(cell: Cell) -> Cell:
    return lambda claim, now: cell(claim, now) if at(claim, "spec", "volumeName") else ""


def validate(claim: Obj) -> list[FieldError]:
    return claim_spec(claim["spec"], "spec")


PERSISTENT_VOLUME_CLAIM = Resource(
    _INFO,
    warnings=warnings.claim,
    validate=validate,
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
    before_update=generation.keep_status,
    before_status_update=generation.status_updated,
)
