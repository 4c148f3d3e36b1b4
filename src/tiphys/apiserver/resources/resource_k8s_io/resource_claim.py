"""ResourceClaim. Upstream: pkg/registry/resource/resourceclaim."""

from datetime import datetime
from typing import Any

from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.resource_k8s_io import claim_rules
from tiphys.apiserver.resources.resource_k8s_io.claim_status_rules import validate_status_update
from tiphys.apiserver.resources.resource_k8s_io.device_requests import default_claim_spec
from tiphys.apiserver.resources.rules.semantic import semantically_equal
from tiphys.apiserver.resources.rules.texts import IMMUTABLE

_INFO = built_in("resource.k8s.io", "v1", "resourceclaims")


_Identity = tuple[Any, ...]  # Of a device: driver, pool, name, share.


def default(claim: Obj) -> None:
    default_claim_spec(claim["spec"])
    claim.setdefault("status", {})


def before_create(claim: Obj) -> None:
    claim["status"] = {}


def before_status_update(new: Obj, old: Obj) -> None:
    """What drivers say of devices goes with the devices."""
    generation.status_alone_updated(new, old)
    devices = at(new, "status", "devices", default=[])
    gone = _allocated(old) - _allocated(new) if devices else set()
    kept = [device for device in devices if _identity(device) not in gone]
    if len(kept) == len(devices):
        return
    new["status"] = {k: v for k, v in new["status"].items() if k != "devices"}
    if kept:
        new["status"]["devices"] = kept


def _allocated(claim: Obj) -> set[_Identity]:
    results = at(claim, "status", "allocation", "devices", "results", default=[])
    return {_identity(result) for result in results}


def _identity(device: Obj) -> _Identity:
    return tuple(device.get(field) for field in ("driver", "pool", "device", "shareID"))


def _state(claim: Obj, _: datetime) -> Any:
    deleted = bool(claim["metadata"].get("deletionTimestamp"))
    words = ["deleted"] if deleted else []
    if at(claim, "status", "allocation") is None:
        words += [] if deleted else ["pending"]
    else:
        words.append("allocated")
        words += ["reserved"] if at(claim, "status", "reservedFor") else []
    return ",".join(words)


def validate_create(claim: Obj) -> list[FieldError]:
    return claim_rules.claim_spec(claim["spec"], "spec")


def validate_create_in(claim: Obj, namespace_labels: dict[str, str]) -> list[FieldError]:
    return claim_rules.admin_access(claim["spec"], namespace_labels)


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    """What cannot change need not be looked at again."""
    if semantically_equal(new["spec"], old["spec"]):
        return []
    return [invalid("spec", go_form(new["spec"], "resource.v1.ResourceClaimSpec"), IMMUTABLE)]


RESOURCE_CLAIM = Resource(
    _INFO,
    validate_create=validate_create,
    validate_create_in=validate_create_in,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    has_status_table=False,
    columns=columns_of(_INFO, cells.name, _state, cells.age),
    default=default,
    before_create=before_create,
    before_update=generation.keep_status,
    before_status_update=before_status_update,
)
