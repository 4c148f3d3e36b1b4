"""IpAddress. Upstream: pkg/registry/networking/ipaddress."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.networking import address_rules
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("networking.k8s.io", "v1", "ipaddresses")


def _parent(address: Obj, _: datetime) -> Any:
    parent = at(address, "spec", "parentRef")
    if parent is None:
        return "<none>"
    group = f".{parent['group']}" if parent.get("group") else ""
    parts = [f"{parent.get('resource', '')}{group}".lower(), parent.get("namespace")]
    return "/".join([p for p in parts if p] + [parent.get("name", "")])


IP_ADDRESS = Resource(
    _INFO,
    validate=address_rules.ip_address,
    validate_update=address_rules.ip_address_update,
    validate_name=address_rules.ip_address_name,
    columns=columns_of(_INFO, cells.name, _parent),
)
