"""ResourceSlice. Upstream: pkg/registry/resource/resourceslice."""

from datetime import datetime
from typing import Final

from tiphys.api.meta import Obj, at, rfc3339
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.resource_k8s_io import slice_rules
from tiphys.apiserver.user import User

_INFO = built_in("resource.k8s.io", "v1", "resourceslices")


# DRANodeAllocatableResources and DRAListTypeAttributes are off: their fields do not exist.
_GATED: Final = "nodeAllocatableResourceMappings"
_GATED_OF_ATTRIBUTES: Final = ("bools", "ints", "strings", "versions")


def before_create(resource_slice: Obj) -> None:
    generation.start(resource_slice)
    _drop_gated(resource_slice)


def before_update(new: Obj, old: Obj) -> None:
    _drop_gated(new)
    generation.bump(new, old)


def _drop_gated(resource_slice: Obj) -> None:
    for device in at(resource_slice, "spec", "devices", default=()):
        device.pop(_GATED, None)
        for attribute in (device.get("attributes") or {}).values():
            for field in _GATED_OF_ATTRIBUTES:
                attribute.pop(field, None)


def note_request(new: Obj, old: Obj | None, user: User, now: datetime) -> None:
    """Since when a taint is there that does not say so itself."""
    del old, user
    for device in at(new, "spec", "devices", default=()):
        for taint in device.get("taints") or ():
            taint.setdefault("timeAdded", rfc3339(now))


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
    note_request=note_request,
    selectable_fields={
        "spec.driver": lambda o: str(at(o, "spec", "driver", default="")),
        "spec.nodeName": lambda o: str(at(o, "spec", "nodeName", default="")),
    },
)
