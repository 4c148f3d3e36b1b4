"""From Services and EndpointSlices to what the node must do with which packet. Pure.

Upstream: pkg/proxy serviceport.go, endpointslicecache.go, topology.go.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from tiphys.api.meta import Obj, ObjectKey, at, labels_of, name_of, namespace_of

SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"
PROXY_NAME_LABEL: Final = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL: Final = "service.kubernetes.io/headless"
ANY_ADDRESS: Final = "0.0.0.0"


class Kind(Enum):
    """How a frontend is reached."""

    CLUSTER = "cluster"
    EXTERNAL = "external"  # externalIPs and load-balancer addresses
    NODE_PORT = "node-port"


class Frontend(NamedTuple):
    """Where packets come to. The address of a node port is 0.0.0.0."""

    kind: Kind
    protocol: str  # tcp or udp
    address: str
    port: int


class Target(NamedTuple):
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a frontend's packets go. masquerade: replies must come back through this node."""

    targets: tuple[Target, ...]
    masquerade: bool


@dataclass(frozen=True, slots=True)
class Plan:
    frontends: Mapping[Frontend, Backend] = field(default_factory=dict)
    cluster_addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Endpoint:
    target: Target
    ready: bool
    serving: bool
    terminating: bool
    node: str


def plan(services: Iterable[Obj], slices: Iterable[Obj], node_name: str) -> Plan:
    """Everything that this node should do. IPv4 only so far."""
    by_service: dict[ObjectKey, list[Obj]] = {}
    for found in slices:
        if found.get("addressType") == "IPv4":
            key = ObjectKey(namespace_of(found), labels_of(found).get(SERVICE_NAME_LABEL, ""))
            by_service.setdefault(key, []).append(found)
    frontends: dict[Frontend, Backend] = {}
    addresses: set[str] = set()
    for service in services:
        if not is_proxied(service):
            continue
        addresses.update(_cluster_addresses(service))
        own = by_service.get(ObjectKey(namespace_of(service), name_of(service)), [])
        for port in at(service, "spec", "ports", default=[]):
            frontends |= _port_frontends(service, port, own, node_name)
    return Plan(frontends, frozenset(addresses))


def is_proxied(service: Obj) -> bool:
    """Headless Services, names for other names, and Services of another proxy are not ours."""
    labels = labels_of(service)
    if PROXY_NAME_LABEL in labels or HEADLESS_LABEL in labels:
        return False
    if at(service, "spec", "type") == "ExternalName":
        return False
    return at(service, "spec", "clusterIP", default="None") not in ("", "None")


def _cluster_addresses(service: Obj) -> list[str]:
    found = at(service, "spec", "clusterIPs") or [at(service, "spec", "clusterIP")]
    return [a for a in found if ":" not in a]


def _port_frontends(
    service: Obj, port: Obj, slices: Sequence[Obj], node_name: str
) -> dict[Frontend, Backend]:
    protocol = str(port.get("protocol") or "TCP").lower()
    if protocol not in ("tcp", "udp"):
        return {}
    spec = service["spec"]
    endpoints = _endpoints(slices, port)
    everywhere = choose(endpoints)
    here = choose([e for e in endpoints if e.node == node_name])
    inside = here if spec.get("internalTrafficPolicy") == "Local" else everywhere
    local = spec.get("externalTrafficPolicy") == "Local"
    outside = Backend(here if local else everywhere, masquerade=not local)
    number = int(port["port"])
    found = {
        Frontend(Kind.CLUSTER, protocol, address, number): Backend(inside, masquerade=False)
        for address in _cluster_addresses(service)
    }
    for address in _external_addresses(service):
        found[Frontend(Kind.EXTERNAL, protocol, address, number)] = outside
    if node_port := int(port.get("nodePort") or 0):
        found[Frontend(Kind.NODE_PORT, protocol, ANY_ADDRESS, node_port)] = outside
    return found


def _external_addresses(service: Obj) -> list[str]:
    addresses = list(at(service, "spec", "externalIPs", default=[]))
    addresses += [
        ingress["ip"]
        for ingress in at(service, "status", "loadBalancer", "ingress", default=[])
        if ingress.get("ip") and ingress.get("ipMode") != "Proxy"
    ]
    return [a for a in addresses if ":" not in a]


def _endpoints(slices: Sequence[Obj], port: Obj) -> list[_Endpoint]:
    """The endpoints that offer a Service port, in a stable order."""
    found: dict[Target, _Endpoint] = {}
    for one in slices:
        number = _slice_port(one, port)
        if number is None:
            continue
        for entry in one.get("endpoints") or []:
            conditions = entry.get("conditions") or {}
            ready = conditions.get("ready") is not False
            serving = conditions.get("serving")
            for address in entry.get("addresses", [])[:1]:
                target = Target(address, number)
                found[target] = _Endpoint(
                    target,
                    ready,
                    ready if serving is None else bool(serving),
                    bool(conditions.get("terminating")),
                    str(entry.get("nodeName") or ""),
                )
    return [found[target] for target in sorted(found)]


def _slice_port(one: Obj, port: Obj) -> int | None:
    for offered in one.get("ports") or []:
        same_name = (offered.get("name") or "") == (port.get("name") or "")
        if same_name and (offered.get("protocol") or "TCP") == (port.get("protocol") or "TCP"):
            return int(offered["port"]) if offered.get("port") is not None else None
    return None


def choose(endpoints: Sequence[_Endpoint]) -> tuple[Target, ...]:
    """The ready ones; without any, those that end but still serve (KEP-1669)."""
    ready = tuple(e.target for e in endpoints if e.ready)
    return ready or tuple(e.target for e in endpoints if e.serving and e.terminating)
