"""ResourceSlice. Upstream: pkg/registry/resource/resourceslice."""

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.resource_k8s_io import slice_rules

_INFO = built_in("resource.k8s.io", "v1", "resourceslices")


def before_create(resource_slice: Obj) -> None:
    generation.start(resource_slice)
    for device in at(resource_slice, "spec", "devices", default=[]):
        for taint in device.get("taints") or ():
            taint.setdefault("timeAdded", resource_slice["metadata"].get("creationTimestamp"))


def before_update(new: Obj, old: Obj) -> None:
    generation.bump(new, old)


def warnings(resource_slice: Obj, old: Obj | None) -> list[str]:
    driver: str = at(resource_slice, "spec", "driver", default="")
    if driver == driver.lower():
        return []
    text = f'driver names should be lowercase; "{driver}" contains uppercase characters'
    return [f"spec.driver: {text}"]


RESOURCE_SLICE = Resource(
    _INFO,
    validate_create=slice_rules.validate,
    validate_update=slice_rules.validate_update,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("spec", "nodeName"),
        cells.value("spec", "driver"),
        cells.value("spec", "pool", "name"),
        cells.age,
    ),
    warnings=warnings,
    before_create=before_create,
    before_update=before_update,
    selectable_fields={
        "spec.driver": lambda o: str(at(o, "spec", "driver", default="")),
        "spec.nodeName": lambda o: str(at(o, "spec", "nodeName", default="")),
    },
)
