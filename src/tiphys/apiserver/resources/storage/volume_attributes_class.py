"""VolumeAttributesClass. Upstream: pkg/registry/storage/volumeattributesclass."""

from tiphys.api.field_errors import FieldError, forbidden
from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.storage.rules import parameters, provisioner

_INFO = built_in("storage.k8s.io", "v1", "volumeattributesclasses")


def validate(volume_class: Obj) -> list[FieldError]:
    errors = provisioner(volume_class.get("driverName", ""), "driverName")
    found = volume_class.get("parameters")
    return errors + parameters(found, "parameters", may_be_empty=False)


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    """Upstream validates the object behind the change, not before it."""
    errors = [
        forbidden(field, f"updates to {field} are forbidden.")
        for field in ("driverName", "parameters")
        if (new.get(field) or None) != (old.get(field) or None)
    ]
    return errors + validate(new)


VOLUME_ATTRIBUTES_CLASS = Resource(
    _INFO,
    validate_create=validate,
    validate_update=validate_update,
    columns=columns_of(_INFO, cells.name, cells.value("driverName"), cells.age),
)
