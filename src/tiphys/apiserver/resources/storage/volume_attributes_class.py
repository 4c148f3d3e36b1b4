"""VolumeAttributesClass. Upstream: pkg/registry/storage/volumeattributesclass."""

from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.storage import rules

_INFO = built_in("storage.k8s.io", "v1", "volumeattributesclasses")

VOLUME_ATTRIBUTES_CLASS = Resource(
    _INFO,
    validate=rules.volume_attributes_class,
    validate_update=rules.volume_attributes_class_update,
    columns=columns_of(_INFO, cells.name, cells.value("driverName"), cells.age),
)
