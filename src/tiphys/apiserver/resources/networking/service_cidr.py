"""ServiceCidr. Upstream: pkg/registry/networking/servicecidr."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.networking import address_rules
from tiphys.apiserver.resources.resource import Resource, no_errors

_INFO = built_in("networking.k8s.io", "v1", "servicecidrs")


def default(cidr: Obj) -> None:
    cidr.setdefault("status", {})


def before_create(cidr: Obj) -> None:
    cidr["status"] = {}


def _cidrs(cidr: Obj, _: datetime) -> Any:
    return ",".join(at(cidr, "spec", "cidrs", default=[]))


SERVICE_CIDR = Resource(
    _INFO,
    validate=address_rules.service_cidr,
    validate_again=no_errors,
    validate_update=address_rules.service_cidr_update,
    columns=columns_of(_INFO, cells.name, _cidrs, cells.age),
    default=default,
    before_create=before_create,
    before_update=generation.keep_status,
    before_status_update=generation.status_alone_updated,
)
