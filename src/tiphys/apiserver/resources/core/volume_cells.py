"""Cells of persistent volumes and claims. Upstream: pkg/printers, pkg/apis/core/v1/helper."""

from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, annotations_of, at, metadata
from tiphys.apiserver.resources.columns import Cell

_MODES: Final = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_CLASS_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"


def access_modes(*path: str) -> Cell:
    def cell(obj: Obj, _: datetime) -> Any:
        found = at(obj, *path, default=[])
        return ",".join(short for mode, short in _MODES.items() if mode in found)

    return cell


def phase(obj: Obj, _: datetime) -> Any:
    if metadata(obj).get("deletionTimestamp"):
        return "Terminating"
    return at(obj, "status", "phase", default="")


def storage_class(obj: Obj, _: datetime) -> Any:
    old = annotations_of(obj).get(_CLASS_ANNOTATION)
    return old if old is not None else at(obj, "spec", "storageClassName", default="")
