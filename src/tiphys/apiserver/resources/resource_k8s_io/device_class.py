"""DeviceClass. Upstream: pkg/registry/resource/deviceclass."""

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("resource.k8s.io", "v1", "deviceclasses")


def before_update(new: Obj, old: Obj) -> None:
    generation.bump(new, old)


DEVICE_CLASS = Resource(
    _INFO,
    columns=columns_of(_INFO, cells.name, cells.age),
    before_create=generation.start,
    before_update=before_update,
)
