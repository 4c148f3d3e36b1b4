"""From Services and EndpointSlices to what the node must do with which packet. Pure.

Every behaviour is decided here; the modes (nftables, iptables, userspace) only write it down.
Upstream: pkg/proxy serviceport.go, endpointslicecache.go, topology.go.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Network, collapse_addresses
from typing import Final, NamedTuple

from tiphys.api.meta import Obj, ObjectKey, at, key_of, labels_of, name_of, namespace_of

SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"
PROXY_NAME_LABEL: Final = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL: Final = "service.kubernetes.io/headless"
AFFINITY_SECONDS_DEFAULT: Final = 10800  # v1.DefaultClientIPServiceAffinitySeconds
PROTOCOLS: Final = frozenset({"tcp", "udp"})


class Kind(Enum):
    """How a frontend is reached. One address and port of two kinds belongs to the first."""

    CLUSTER = "cluster"
    LOAD_BALANCER = "load-balancer"
    EXTERNAL = "external"
    NODE_PORT = "node-port"


class Frontend(NamedTuple):
    """Where packets come to."""

    protocol: str  # tcp or udp
    address: str
    port: int


class Target(NamedTuple):
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a frontend's packets go.

    near: where packets of pods and of the node itself go, when that differs (a Local external
    policy is for those outside); those of the node are masqueraded. Without targets packets are
    rejected, or dropped when other nodes have some. serving: also those not chosen now.
    """

    kind: Kind
    service: str  # namespace/name:port's name
    targets: tuple[Target, ...]
    near: tuple[Target, ...] | None = None
    masquerade: bool = False  # Replies must come back through this node.
    local: bool = False  # targets are only those of this node.
    drop: bool = False
    sticky_seconds: int = 0  # ClientIP affinity; 0 is none.
    sources: tuple[str, ...] = ()  # Networks that may come; () is everybody.
    serving: tuple[Target, ...] = ()
    hairpin: tuple[str, ...] = ()  # Endpoints' addresses on this node: they may reach themselves.

    @property
    def reachable(self) -> frozenset[Target]:
        return frozenset((*self.targets, *(self.near or ())))


class HealthCheck(NamedTuple):
    """A port on which load balancers ask whether this node has endpoints of a Service."""

    service: ObjectKey
    port: int
    local_endpoints: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What all Services, or one of them, want."""

    frontends: Mapping[Frontend, Backend] = field(default_factory=dict)
    health_checks: tuple[HealthCheck, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeView:
    """The node that is planned for. Node ports are served at its addresses."""

    name: str
    addresses: tuple[str, ...] = ()


class _Endpoint(NamedTuple):
    target: Target
    ready: bool
    serving: bool
    terminating: bool
    node: str


def plan(services: Iterable[Obj], slices: Iterable[Obj], node: NodeView) -> Plan:
    """Everything that this node should do. IPv4 only so far."""
    by_service: dict[ObjectKey, list[Obj]] = {}
    for found in slices:
        by_service.setdefault(service_of(found), []).append(found)
    frontends: dict[Frontend, Backend] = {}
    checks: tuple[HealthCheck, ...] = ()
    for service in sorted(services, key=key_of):
        one = plan_service(service, by_service.get(key_of(service), []), node)
        # Two Services may claim one external address and port: the first by name has it.
        frontends = {**one.frontends, **frontends} if one.frontends else frontends
        checks += one.health_checks
    return Plan(frontends, checks)


def service_of(one: Obj) -> ObjectKey:
    """The Service that an EndpointSlice belongs to."""
    return ObjectKey(namespace_of(one), labels_of(one).get(SERVICE_NAME_LABEL, ""))


def plan_service(service: Obj, slices: Sequence[Obj], node: NodeView) -> Plan:
    """What one Service wants; slices are its own."""
    if not is_proxied(service):
        return Plan()
    own = [s for s in slices if s.get("addressType") == "IPv4"]
    frontends: dict[Frontend, Backend] = {}
    for port in service["spec"].get("ports") or ():
        frontends |= _port_frontends(service, port, _endpoints(own, port), node)
    return Plan(frontends, _health_checks(service, own, node))


def is_proxied(service: Obj) -> bool:
    """Headless Services, names for other names, and Services of another proxy are not ours."""
    labels = labels_of(service)
    if PROXY_NAME_LABEL in labels or HEADLESS_LABEL in labels:
        return False
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return False
    return spec.get("clusterIP") not in (None, "", "None")


def _cluster_addresses(service: Obj) -> list[str]:
    spec = service["spec"]
    found = spec.get("clusterIPs") or [spec["clusterIP"]]
    return [a for a in found if ":" not in a]


def _health_checks(service: Obj, slices: Sequence[Obj], node: NodeView) -> tuple[HealthCheck, ...]:
    """Only load balancers with a Local policy have one (api/v1/service NeedsHealthCheck)."""
    spec = service["spec"]
    number = int(spec.get("healthCheckNodePort") or 0)
    wanted = spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
    if not wanted or not number:
        return ()
    ready = {
        e.target.address
        for port in spec.get("ports") or ()
        for e in _endpoints(slices, port)
        if e.ready and e.node == node.name
    }
    return (HealthCheck(key_of(service), number, len(ready)),)


def _port_frontends(
    service: Obj, port: Obj, endpoints: Sequence[_Endpoint], node: NodeView
) -> dict[Frontend, Backend]:
    protocol = str(port.get("protocol") or "TCP").lower()
    if protocol not in PROTOCOLS:
        return {}
    number, node_port = int(port["port"]), int(port.get("nodePort") or 0)
    found: dict[Frontend, Backend] = {}
    # The last one to write an address and port has it, so the strongest kind comes last.
    for kind, addresses, where in (
        (Kind.NODE_PORT, node.addresses if node_port else (), node_port),
        (Kind.EXTERNAL, _external_addresses(service), number),
        (Kind.LOAD_BALANCER, _load_balancer_addresses(service), number),
    ):
        if addresses:
            outside = _outside_backend(service, port, endpoints, node, kind)
            found |= {Frontend(protocol, a, where): outside for a in addresses}
    inside = _inside_backend(service, port, endpoints, node)
    for address in _cluster_addresses(service):
        found[Frontend(protocol, address, number)] = inside
    return found


def _inside_backend(
    service: Obj, port: Obj, endpoints: Sequence[_Endpoint], node: NodeView
) -> Backend:
    local = service["spec"].get("internalTrafficPolicy") == "Local"
    everywhere = choose(endpoints)
    here = _here(endpoints, node) if local else ()
    return Backend(
        Kind.CLUSTER,
        _port_name(service, port),
        here if local else everywhere,
        local=local,
        drop=local and not here and bool(everywhere),
        sticky_seconds=affinity_seconds(service),
        serving=_serving(endpoints),
        hairpin=_hairpin(endpoints, node),
    )


def _outside_backend(
    service: Obj, port: Obj, endpoints: Sequence[_Endpoint], node: NodeView, kind: Kind
) -> Backend:
    local = service["spec"].get("externalTrafficPolicy") == "Local"
    everywhere = choose(endpoints)
    here = _here(endpoints, node) if local else ()
    return Backend(
        kind,
        _port_name(service, port),
        here if local else everywhere,
        near=everywhere if local else None,
        masquerade=not local,
        local=local,
        drop=local and not here and bool(everywhere),
        sticky_seconds=affinity_seconds(service),
        sources=_source_ranges(service) if kind is Kind.LOAD_BALANCER else (),
        serving=_serving(endpoints),
        hairpin=_hairpin(endpoints, node),
    )


def _port_name(service: Obj, port: Obj) -> str:
    return f"{namespace_of(service)}/{name_of(service)}:{port.get('name') or ''}"


def affinity_seconds(service: Obj) -> int:
    """For how long a client stays with an endpoint after its last new connection; 0 is never."""
    if service["spec"].get("sessionAffinity") != "ClientIP":
        return 0
    found = at(service, "spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds")
    return int(found or AFFINITY_SECONDS_DEFAULT)


def _source_ranges(service: Obj) -> tuple[str, ...]:
    """Without overlaps, which sets of the kernel refuse. Padding is allowed by validation."""
    found = at(service, "spec", "loadBalancerSourceRanges", default=[])
    networks = [IPv4Network(r.strip(), strict=False) for r in found if ":" not in r]
    return tuple(str(n) for n in collapse_addresses(networks))


def _external_addresses(service: Obj) -> list[str]:
    return [a for a in service["spec"].get("externalIPs") or () if ":" not in a]


def _load_balancer_addresses(service: Obj) -> list[str]:
    if service["spec"].get("type") != "LoadBalancer":
        return []
    return [
        ingress["ip"]
        for ingress in at(service, "status", "loadBalancer", "ingress", default=[])
        if ingress.get("ip") and ":" not in ingress["ip"] and ingress.get("ipMode") != "Proxy"
    ]


def _endpoints(slices: Sequence[Obj], port: Obj) -> list[_Endpoint]:
    """The endpoints that offer a Service port, in a stable order."""
    found: dict[Target, _Endpoint] = {}
    for one in slices:
        number = _slice_port(one, port)
        if number is None:
            continue
        for entry in one.get("endpoints") or ():
            conditions = entry.get("conditions") or {}
            ready = conditions.get("ready") is not False
            serving = conditions.get("serving")
            if not (addresses := entry.get("addresses")):
                continue
            target = Target(addresses[0], number)
            found[target] = _Endpoint(
                target,
                ready,
                ready if serving is None else serving,
                conditions.get("terminating") or False,
                entry.get("nodeName") or "",
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
    ready = tuple([e.target for e in endpoints if e.ready])
    return ready or tuple([e.target for e in endpoints if e.serving and e.terminating])


def _here(endpoints: Sequence[_Endpoint], node: NodeView) -> tuple[Target, ...]:
    return choose([e for e in endpoints if e.node == node.name])


def _serving(endpoints: Sequence[_Endpoint]) -> tuple[Target, ...]:
    return tuple([e.target for e in endpoints if e.serving])


def _hairpin(endpoints: Sequence[_Endpoint], node: NodeView) -> tuple[str, ...]:
    """Of endpoints without a node nobody knows where they are."""
    return tuple([e.target.address for e in endpoints if e.node == node.name or not e.node])
