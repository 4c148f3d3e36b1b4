"""CsiDriver. Upstream: pkg/registry/storage/csidriver."""

from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.storage import rules

_INFO = built_in("storage.k8s.io", "v1", "csidrivers")


_DEFAULTS: Final[Obj] = {
    "attachRequired": True,
    "podInfoOnMount": False,
    "storageCapacity": False,
    "fsGroupPolicy": "ReadWriteOnceWithFSType",
    "volumeLifecycleModes": ["Persistent"],
    "requiresRepublish": False,
    "seLinuxMount": False,
}


def default(driver: Obj) -> None:
    for field, value in _DEFAULTS.items():
        driver["spec"].setdefault(field, list(value) if isinstance(value, list) else value)


def before_update(new: Obj, old: Obj) -> None:
    generation.bump(new, old)


def _modes(driver: Obj, _: datetime) -> Any:
    return ",".join(at(driver, "spec", "volumeLifecycleModes", default=[])) or "<none>"


def _token_requests(driver: Obj, _: datetime) -> Any:
    requests = at(driver, "spec", "tokenRequests")
    return "<unset>" if requests is None else ",".join(r.get("audience", "") for r in requests)


CSI_DRIVER = Resource(
    _INFO,
    validate=rules.csi_driver,
    validate_update=rules.csi_driver_update,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("spec", "attachRequired", default=True),
        cells.value("spec", "podInfoOnMount", default=False),
        cells.value("spec", "storageCapacity", default=False),
        _token_requests,
        cells.value("spec", "requiresRepublish", default=False),
        _modes,
        cells.age,
    ),
    default=default,
    before_update=before_update,
)
