"""EndpointSlice. Upstream: pkg/registry/discovery/endpointslice/strategy.go."""

from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, labels_of
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.discovery import endpoint_slice_rules
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.addresses import address_warnings

_INFO = built_in("discovery.k8s.io", "v1", "endpointslices")


def default(endpoint_slice: Obj) -> None:
    endpoint_slice["endpoints"] = endpoint_slice.get("endpoints") or None
    endpoint_slice["ports"] = endpoint_slice.get("ports") or None
    for port in endpoint_slice.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def _content(endpoint_slice: Obj) -> Obj:
    return {k: v for k, v in endpoint_slice.items() if k not in {"metadata"}}


def before_create(endpoint_slice: Obj) -> None:
    generation.start(endpoint_slice)
    _drop_topology(endpoint_slice)


def _drop_topology(endpoint_slice: Obj) -> None:
    """A field of the beta versions; v1 has it read-only."""
    for endpoint in endpoint_slice.get("endpoints") or ():
        endpoint.pop("deprecatedTopology", None)


def before_update(new: Obj, old: Obj) -> None:
    """Anything but the metadata is a new generation, and so are labels."""
    _drop_topology(new)
    changed = _content(new) != _content(old) or (
        (new["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {})
    )
    generation.bump(new, old, also=changed)


def _ports(endpoint_slice: Obj, _: datetime) -> Any:
    ports = endpoint_slice.get("ports") or []
    texts = [str(p["port"]) if "port" in p else p.get("name", "*") for p in ports]
    return cells.list_with_more(texts, len(ports))


def _endpoints(endpoint_slice: Obj, _: datetime) -> Any:
    addresses = [a for e in endpoint_slice.get("endpoints") or () for a in e.get("addresses") or ()]
    return cells.list_with_more(addresses, len(addresses))


_MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
_CONTROLLERS: Final = (
    "endpointslice-controller.k8s.io",
    "endpointslicemirroring-controller.k8s.io",
)


def slice_warnings(endpoint_slice: Obj, old: Obj | None) -> list[str]:
    found: list[str] = []
    if old is None and endpoint_slice.get("addressType") == "FQDN":
        found.append("spec.addressType: FQDN endpoints are deprecated")
    if labels_of(endpoint_slice).get(_MANAGED_BY) in _CONTROLLERS:
        return found
    for index, endpoint in enumerate(endpoint_slice.get("endpoints") or ()):
        for at, address in enumerate(endpoint.get("addresses") or ()):
            found += address_warnings(address, f"endpoints[{index}].addresses[{at}]")
    return found


ENDPOINT_SLICE = Resource(
    _INFO,
    validate=endpoint_slice_rules.validate,
    warnings=slice_warnings,
    validate_update=endpoint_slice_rules.validate_update,
    default=default,
    before_create=before_create,
    before_update=before_update,
    columns=columns_of(
        _INFO, cells.name, cells.value("addressType"), _ports, _endpoints, cells.age
    ),
)
