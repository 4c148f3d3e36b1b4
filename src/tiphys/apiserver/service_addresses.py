"""Cluster addresses and node ports of Services: given out, and free again when no Service has them.

What Services hold is read from the committed writes, so that no way of ending or changing one can
forget it. A write that is under way reserves what it was given until it is committed or has failed.
Addresses are drawn at random from the upper part of the range, so that the lower part stays free
for those who choose one (the first is the API server's, the tenth the DNS server's).
Upstream: pkg/registry/core/service/{ipallocator,portallocator,storage/alloc.go}, KEP-3070.
"""

import random
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Final, NamedTuple

from tiphys.api.errors import InternalError
from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import Obj, at
from tiphys.apiserver.number_pool import Numbers, Pool, Reservation
from tiphys.apiserver.service_families import set_families
from tiphys.apiserver.service_ports import DryPorts, Ports, ReservedPorts
from tiphys.apiserver.service_ranges import LOW_BAND_MIN, ServiceRanges
from tiphys.codec import json
from tiphys.storage.backend import Event
from tiphys.storage.store import resource_prefix

PORT_LOW_BAND_MAX: Final = 128
SERVICES: Final = resource_prefix("", "services")
_WITH_ADDRESS: Final = frozenset({"ClusterIP", "NodePort", "LoadBalancer"})
_WITH_NODE_PORTS: Final = frozenset({"NodePort", "LoadBalancer"})


class Held(NamedTuple):
    """The numbers that a Service has."""

    addresses: tuple[int, ...]
    ports: tuple[int, ...]


_NOTHING: Final = Held((), ())


class ServiceAddresses:
    """See the module."""

    def __init__(
        self, network: IPv4Network, node_ports: tuple[int, int], rng: random.Random
    ) -> None:
        self.network = network
        self.ranges = ServiceRanges(network, rng)
        ports = node_ports[1] - node_ports[0] + 1
        port_low = min(max(LOW_BAND_MIN, ports // 32), PORT_LOW_BAND_MAX)
        self._port_numbers = Numbers()
        self._ports = Pool(node_ports[0], node_ports[1], port_low, rng, self._port_numbers)
        self._held: dict[str, Held] = {}  # By the service's key.

    @property
    def api_server(self) -> str:
        return str(self.network.network_address + 1)

    @property
    def reserved(self) -> tuple[int, int]:
        """How many addresses and ports are reserved for writes under way."""
        return self.ranges.reserved_count, self._ports.reserved_count

    @property
    def held(self) -> Mapping[str, Held]:
        """By the Service's key."""
        return self._held

    def load(self, services: list[Obj]) -> None:
        """Take in what the store's services hold at the start."""
        for service in services:
            metadata = service["metadata"]
            self._hold(f"{SERVICES}{metadata['namespace']}/{metadata['name']}", service)

    def follow(self, events: Sequence[Event]) -> None:
        """Take in committed writes of services (a listener of the store)."""
        for event in events:
            if event.key.startswith(SERVICES):
                self._hold(event.key, json.decode(event.value) if event.value else None)

    def _hold(self, key: str, service: Obj | None) -> None:
        """Note what a service holds now instead of before; None: it is gone."""
        now = Held(_address_numbers(service), tuple(node_ports_of(service)))
        before = self._held.pop(key, _NOTHING)
        if service is not None:
            self._held[key] = now
        self.ranges.hold(now.addresses)
        self._port_numbers.hold(now.ports)
        self.ranges.drop(before.addresses)
        self._port_numbers.drop(before.ports)

    def ports(self, reserved: Reservation) -> ReservedPorts:
        """Those of a write."""
        return ReservedPorts(self._ports, reserved)

    def dry_ports(self) -> DryPorts:
        return DryPorts(self._ports)

    def allocate(
        self, new: Obj, old: Obj | None, reserved: Reservation, ports: Ports
    ) -> list[FieldError]:
        """Give a service what it needs and lacks; the object is changed in place."""
        return (
            self._allocate_address(new, old, reserved)
            or _allocate_ports(new, old, ports)
            or _allocate_health_port(new, old, ports)
        )

    def _allocate_address(
        self, new: Obj, old: Obj | None, reserved: Reservation
    ) -> list[FieldError]:
        spec = new["spec"]
        if spec.get("type", "ClusterIP") not in _WITH_ADDRESS:
            return []
        if wrong := set_families(spec, old["spec"] if old else {}):
            return wrong
        if "None" in {spec.get("clusterIP"), *(spec.get("clusterIPs") or ())}:
            spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
            return []
        before = addresses_of(old) if old else []
        asked = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or []), "")
        if asked:
            if asked in before:
                return []
            return self._take_address(asked, spec, reserved)
        found = self.ranges.reserve_any()
        if found is None:
            raise InternalError(
                "failed to allocate a serviceIP: range is full", code=500, reason="InternalError"
            )
        pool, number = found
        reserved.add(pool, number)
        spec["clusterIP"] = str(IPv4Address(number))
        spec["clusterIPs"] = [spec["clusterIP"]]
        return []

    def _take_address(self, asked: str, spec: Obj, reserved: Reservation) -> list[FieldError]:
        shown = [asked]
        try:
            number = int(IPv4Address(asked))
        except ValueError:
            return []  # Validation has its own words for it.
        pool = self.ranges.of(number)
        if pool is None:
            text = (
                f"failed to allocate IP {asked}: the provided IP ({asked}) is not in the valid"
                f" range. The range of valid IPs is {self.network}"
            )
            return [invalid("spec.clusterIPs", shown, text)]
        if not pool.reserve(number):
            text = f"failed to allocate IP {asked}: provided IP is already allocated"
            return [invalid("spec.clusterIPs", shown, text)]
        reserved.add(pool, number)
        spec["clusterIP"], spec["clusterIPs"] = asked, shown
        return []


def _allocate_ports(new: Obj, old: Obj | None, ports: Ports) -> list[FieldError]:
    spec = new["spec"]
    kind = spec.get("type", "ClusterIP")
    if kind not in _WITH_NODE_PORTS:
        return []
    wants_any = kind == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True)
    found = spec.get("ports") or []
    wanted = [(i, p) for i, p in enumerate(found) if wants_any or p.get("nodePort")]
    return _of_new(wanted, found, ports) if old is None else _of_changed(wanted, old, ports)


def _of_new(wanted: list[tuple[int, Obj]], all_ports: list[Obj], ports: Ports) -> list[FieldError]:
    """A port over TCP and the same over UDP share one number, that of either of them."""
    given: dict[int, int] = {}
    for index, port in wanted:
        asked, shared = port.get("nodePort") or 0, given.get(port.get("port", 0))
        number = shared if shared and not asked else asked or _twin(all_ports, port)
        if number and number != shared and (text := ports.take(number)):
            return [invalid(f"spec.ports[{index}].nodePort", number, text)]
        port["nodePort"] = number or _any_of(ports)
        given.setdefault(port.get("port", 0), port["nodePort"])
    return []


def _of_changed(wanted: list[tuple[int, Obj]], old: Obj, ports: Ports) -> list[FieldError]:
    """What the Service has it may use again, and what it takes it may use twice."""
    held = set(node_ports_of(old))
    for index, port in wanted:
        asked = port.get("nodePort") or 0
        if asked and asked not in held and (text := ports.take(asked)):
            return [invalid(f"spec.ports[{index}].nodePort", asked, text)]
        port["nodePort"] = asked or _any_of(ports)
        held.add(port["nodePort"])
    return []


def _any_of(ports: Ports) -> int:
    number = ports.take_any()
    if number is None:
        raise InternalError("failed to allocate a nodePort: range is full")
    return number


def _allocate_health_port(new: Obj, old: Obj | None, ports: Ports) -> list[FieldError]:
    """A load balancer that only wants local endpoints asks each node whether it has one."""
    spec = new["spec"]
    if not _asks_for_health(spec) or (old is not None and _asks_for_health(old["spec"])):
        return []
    asked = spec.get("healthCheckNodePort") or 0
    if asked and (text := ports.take(asked)):
        what = f"failed to allocate requested HealthCheck NodePort {asked}: {text}"
        raise InternalError(f"Internal error occurred: {what}")
    number = asked or ports.take_any()
    if number is None:
        raise InternalError("failed to allocate a healthCheckNodePort: range is full")
    spec["healthCheckNodePort"] = number
    return []


def _asks_for_health(spec: Obj) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _twin(ports: list[Obj], port: Obj) -> int:
    """The node port that another protocol of the same port asks for."""
    for other in ports:
        if other.get("port") == port.get("port") and other.get("nodePort"):
            return int(other["nodePort"])
    return 0


def addresses_of(service: Obj | None) -> list[str]:
    found: list[str] = at(service, "spec", "clusterIPs", default=[])
    one = at(service, "spec", "clusterIP", default="")
    return [a for a in dict.fromkeys([one, *found]) if a not in {"", "None"}]


def _address_numbers(service: Obj | None) -> tuple[int, ...]:
    """Addresses of the other family are nobody's here."""
    return tuple(int(IPv4Address(a)) for a in addresses_of(service) if ":" not in a)


def node_ports_of(service: Obj | None) -> list[int]:
    ports = [p["nodePort"] for p in at(service, "spec", "ports", default=[]) if p.get("nodePort")]
    health = at(service, "spec", "healthCheckNodePort", default=0)
    return [*ports, health] if health else ports
