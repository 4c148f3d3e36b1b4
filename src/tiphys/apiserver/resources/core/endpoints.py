"""Endpoints. Upstream: pkg/registry/core/endpoint."""

from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, labels_of
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.core import endpoints_rules
from tiphys.apiserver.resources.resource import Resource, no_errors
from tiphys.apiserver.resources.rules.addresses import address_warnings

_INFO = built_in("", "v1", "endpoints")


def default(endpoints: Obj) -> None:
    for subset in endpoints.get("subsets") or ():
        for port in subset.get("ports") or ():
            port.setdefault("protocol", "TCP")


def _texts(subset: Obj) -> list[str]:
    addresses = [a.get("ip", "") for a in subset.get("addresses") or ()]
    ports = subset.get("ports") or ()
    if not ports:
        return addresses
    shown = [f"[{a}]" if ":" in a else a for a in addresses]
    return [f"{a}:{p.get('port', 0)}" for p in ports for a in shown]


def _endpoints(endpoints: Obj, _: datetime) -> Any:
    subsets = endpoints.get("subsets") or ()
    if not subsets:
        return "<none>"
    texts = [text for subset in subsets for text in _texts(subset)]
    more = f" + {len(texts) - 3} more..." if len(texts) > 3 else ""
    return ",".join(texts[:3]) + more


_MANAGED_BY: Final = "endpoints.kubernetes.io/managed-by"
_CONTROLLER: Final = "endpoint-controller"


def endpoints_warnings(endpoints: Obj, old: Obj | None) -> list[str]:
    if labels_of(endpoints).get(_MANAGED_BY) == _CONTROLLER:
        return []
    return [
        text
        for index, subset in enumerate(endpoints.get("subsets") or ())
        for field in ("addresses", "notReadyAddresses")
        for at, address in enumerate(subset.get(field) or ())
        for text in address_warnings(address.get("ip", ""), f"subsets[{index}].{field}[{at}].ip")
    ]


ENDPOINTS = Resource(
    _INFO,
    allow_create_on_update=True,
    validate=endpoints_rules.validate,
    warnings=endpoints_warnings,
    validate_again=no_errors,
    validate_update=endpoints_rules.validate_update,
    columns=columns_of(_INFO, cells.name, _endpoints, cells.age),
    default=default,
)
