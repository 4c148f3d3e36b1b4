"""StorageClass. Upstream: pkg/registry/storage/storageclass."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, annotations_of
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings
from tiphys.apiserver.resources.storage import rules

_INFO = built_in("storage.k8s.io", "v1", "storageclasses")


def default(storage_class: Obj) -> None:
    storage_class.setdefault("reclaimPolicy", "Delete")
    storage_class.setdefault("volumeBindingMode", "Immediate")


def _name(storage_class: Obj, _: datetime) -> Any:
    name = storage_class["metadata"].get("name", "")
    notes = annotations_of(storage_class)
    keys = ("storageclass.kubernetes.io", "storageclass.beta.kubernetes.io")
    is_default = any(notes.get(f"{key}/is-default-class") == "true" for key in keys)
    return f"{name} (default)" if is_default else name


STORAGE_CLASS = Resource(
    _INFO,
    warnings=warnings.storage_class,
    validate=rules.storage_class,
    validate_update=rules.storage_class_update,
    columns=columns_of(
        _INFO,
        _name,
        cells.value("provisioner"),
        cells.value("reclaimPolicy", default="Delete"),
        cells.value("volumeBindingMode", default="Immediate"),
        cells.value("allowVolumeExpansion", default=False),
        cells.age,
    ),
    default=default,
)
