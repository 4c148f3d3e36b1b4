"""ResourceClaim. Upstream: pkg/registry/resource/resourceclaim."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.resource_k8s_io.device_requests import default_claim_spec

_INFO = built_in("resource.k8s.io", "v1", "resourceclaims")


def default(claim: Obj) -> None:
    default_claim_spec(claim["spec"])
    claim.setdefault("status", {})


def before_create(claim: Obj) -> None:
    claim["status"] = {}


def _state(claim: Obj, _: datetime) -> Any:
    deleted = bool(claim["metadata"].get("deletionTimestamp"))
    words = ["deleted"] if deleted else []
    if at(claim, "status", "allocation") is None:
        words += [] if deleted else ["pending"]
    else:
        words.append("allocated")
        words += ["reserved"] if at(claim, "status", "reservedFor") else []
    return ",".join(words)


RESOURCE_CLAIM = Resource(
    _INFO,
    columns=columns_of(_INFO, cells.name, _state, cells.age),
    default=default,
    before_create=before_create,
    before_update=generation.keep_status,
    before_status_update=generation.status_updated,
)
