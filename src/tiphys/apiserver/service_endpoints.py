"""Which addresses are behind a Service, as EndpointSlices say."""

from tiphys.api.meta import Obj
from tiphys.apiserver.endpoint import Endpoint


def slices_of(slices: Endpoint, namespace: str, service: str) -> list[Obj]:
    """slices: the endpoint of endpointslices."""
    found = []
    for cached in slices.cache.range(slices.collection(namespace)):
        obj = slices.decode(cached)
        labels = obj["metadata"].get("labels") or {}
        if labels.get("kubernetes.io/service-name") == service:
            found.append(obj)
    return found


def ready_addresses(slice_: Obj, port_name: str) -> list[tuple[str, int]]:
    """(address, port) of every endpoint that is ready; port_name is the Service port's."""
    port = next(
        (p["port"] for p in slice_.get("ports") or () if (p.get("name") or "") == port_name), None
    )
    if port is None:
        return []
    return [
        (address, int(port))
        for endpoint in slice_.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint.get("addresses") or ()
    ]
