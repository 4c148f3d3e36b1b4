"""Cluster addresses and node ports of Services: given out, taken back, repaired from the store.

Addresses are drawn at random from the upper part of the range, so that the lower part stays free
for those who choose one (the first is the API server's, the tenth the DNS server's).
Upstream: pkg/registry/core/service/{ipallocator,portallocator,storage/alloc.go}, KEP-3070.
"""

import random
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Final

from tiphys.api.errors import InternalError
from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import Obj, at

LOW_BAND_MIN: Final = 16
LOW_BAND_MAX: Final = 256
RANDOM_TRIES_MAX: Final = 64  # Then the range is searched in order.
_WITH_ADDRESS: Final = frozenset({"ClusterIP", "NodePort", "LoadBalancer"})
_WITH_NODE_PORTS: Final = frozenset({"NodePort", "LoadBalancer"})


class Pool:
    """Numbers in use out of a range, each with what uses it."""

    def __init__(self, first: int, last: int, low_band: int, rng: random.Random) -> None:
        self._first = first
        self._last = last
        self._low_band = low_band
        self._rng = rng
        self.used: set[int] = set()

    def take(self, number: int) -> bool:
        """False when it is in use or out of range."""
        if not self._first <= number <= self._last or number in self.used:
            return False
        self.used.add(number)
        return True

    def take_any(self) -> int | None:
        """A free number, the upper band first; None when the range is full."""
        upper = min(self._first + self._low_band, self._last)
        for _ in range(RANDOM_TRIES_MAX):
            number: int = self._rng.randint(upper, self._last)
            if self.take(number):
                return number
        for number in (*range(upper, self._last + 1), *range(self._first, upper)):
            if self.take(number):
                return number
        return None

    def contains(self, number: int) -> bool:
        return self._first <= number <= self._last

    def release(self, number: int) -> None:
        self.used.discard(number)


class Allocated:
    """What one write took; `release` gives it back when the write fails."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def add(self, undo: Callable[[], None]) -> None:
        self._undo.append(undo)

    def release(self) -> None:
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()


NOTHING: Final = Allocated()


class ServiceAddresses:
    """See the module."""

    def __init__(
        self, network: IPv4Network, node_ports: tuple[int, int], rng: random.Random
    ) -> None:
        self.network = network
        first, last = int(network.network_address) + 1, int(network.broadcast_address) - 1
        size = last - first + 1
        low = min(max(LOW_BAND_MIN, size // 16), LOW_BAND_MAX)
        self._addresses = Pool(first, last, low, rng)
        ports = node_ports[1] - node_ports[0] + 1
        port_low = min(max(LOW_BAND_MIN, ports // 32), 128)
        self._ports = Pool(node_ports[0], node_ports[1], port_low, rng)

    @property
    def api_server(self) -> str:
        return str(self.network.network_address + 1)

    def load(self, services: list[Obj]) -> None:
        """Take in what the store's services hold (the repair at start)."""
        for service in services:
            for address in addresses_of(service):
                self._addresses.used.add(int(ip_address(address)))
            self._ports.used.update(node_ports_of(service))

    def allocate(self, new: Obj, old: Obj | None) -> tuple[Allocated, list[FieldError]]:
        """Give a service what it needs and lacks; the object is changed in place."""
        taken = Allocated()
        errors = self._allocate_address(new, old, taken)
        if not errors:
            errors = self._allocate_ports(new, old, taken)
        if not errors:
            errors = self._allocate_health_port(new, taken)
        if errors:
            taken.release()
        return taken, errors

    def release(self, service: Obj) -> None:
        """A service is gone."""
        for address in addresses_of(service):
            self._addresses.release(int(ip_address(address)))
        for port in node_ports_of(service):
            self._ports.release(port)

    def release_dropped(self, new: Obj, old: Obj) -> None:
        """An update gave up what it no longer names (upstream: after the write)."""
        for address in set(addresses_of(old)) - set(addresses_of(new)):
            self._addresses.release(int(ip_address(address)))
        for port in set(node_ports_of(old)) - set(node_ports_of(new)):
            self._ports.release(port)

    def _allocate_address(self, new: Obj, old: Obj | None, taken: Allocated) -> list[FieldError]:
        spec = new["spec"]
        if spec.get("type", "ClusterIP") not in _WITH_ADDRESS:
            return []
        _set_families(spec)
        if "None" in {spec.get("clusterIP"), *(spec.get("clusterIPs") or ())}:
            spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
            return []
        before = addresses_of(old) if old else []
        asked = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or []), "")
        if asked:
            if asked in before:
                return []
            return self._take_address(asked, spec, taken)
        number = self._addresses.take_any()
        if number is None:
            raise InternalError(
                "failed to allocate a serviceIP: range is full", code=500, reason="InternalError"
            )
        taken.add(lambda: self._addresses.release(number))
        spec["clusterIP"] = str(IPv4Address(number))
        spec["clusterIPs"] = [spec["clusterIP"]]
        return []

    def _take_address(self, asked: str, spec: Obj, taken: Allocated) -> list[FieldError]:
        shown = [asked]
        try:
            number = int(IPv4Address(asked))
        except ValueError:
            return []  # Validation has its own words for it.
        if not self._addresses.contains(number):
            text = (
                f"failed to allocate IP {asked}: the provided IP ({asked}) is not in the valid"
                f" range. The range of valid IPs is {self.network}"
            )
            return [invalid("spec.clusterIPs", shown, text)]
        if not self._addresses.take(number):
            text = f"failed to allocate IP {asked}: provided IP is already allocated"
            return [invalid("spec.clusterIPs", shown, text)]
        taken.add(lambda: self._addresses.release(number))
        spec["clusterIP"], spec["clusterIPs"] = asked, shown
        return []

    def _allocate_ports(self, new: Obj, old: Obj | None, taken: Allocated) -> list[FieldError]:
        spec = new["spec"]
        kind = spec.get("type", "ClusterIP")
        if kind not in _WITH_NODE_PORTS:
            return []
        wants_any = kind == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True)
        held = set(node_ports_of(old)) if old else set()
        for index, port in enumerate(spec.get("ports") or ()):
            asked = port.get("nodePort") or 0
            if asked in held:
                continue
            if asked:
                if not self._ports.take(asked):
                    return [self._port_error(index, asked)]
                number: int | None = asked
            elif wants_any:
                number = self._twin(spec["ports"][:index], port) or self._ports.take_any()
                if number is None:
                    raise InternalError("failed to allocate a nodePort: range is full")
                port["nodePort"] = number
            else:
                continue
            held.add(int(number or 0))
            taken.add(lambda taken_port=number: self._ports.release(taken_port))  # type: ignore[misc]
        return []

    def _allocate_health_port(self, new: Obj, taken: Allocated) -> list[FieldError]:
        """A load balancer that only wants local endpoints asks each node whether it has one."""
        spec = new["spec"]
        local = spec.get("externalTrafficPolicy") == "Local"
        if spec.get("type") != "LoadBalancer" or not local or spec.get("healthCheckNodePort"):
            return []
        number = self._ports.take_any()
        if number is None:
            raise InternalError("failed to allocate a healthCheckNodePort: range is full")
        taken.add(lambda: self._ports.release(number))
        spec["healthCheckNodePort"] = number
        return []

    def _twin(self, ports: list[Obj], port: Obj) -> int:
        """The same port over TCP and UDP shares one node port."""
        for other in ports:
            same = other.get("port") == port.get("port")
            if same and other.get("protocol") != port.get("protocol") and other.get("nodePort"):
                return int(other["nodePort"])
        return 0

    def _port_error(self, index: int, asked: int) -> FieldError:
        path = f"spec.ports[{index}].nodePort"
        if not self._ports.contains(asked):
            first, last = self._ports._first, self._ports._last
            return invalid(
                path,
                asked,
                f"provided port is not in the valid range. The range of valid ports is"
                f" {first}-{last}",
            )
        return invalid(path, asked, "provided port is already allocated")


def _set_families(spec: Obj) -> None:
    """IPv4 alone, except that a headless service without selector is for both, as upstream."""
    headless = spec.get("clusterIP") == "None" and not spec.get("selector")
    if headless and not spec.get("ipFamilyPolicy"):
        spec["ipFamilyPolicy"] = "RequireDualStack"
        spec.setdefault("ipFamilies", ["IPv4", "IPv6"])
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def addresses_of(service: Obj | None) -> list[str]:
    found: list[str] = at(service, "spec", "clusterIPs", default=[])
    one = at(service, "spec", "clusterIP", default="")
    return [a for a in dict.fromkeys([one, *found]) if a not in {"", "None"}]


def node_ports_of(service: Obj | None) -> list[int]:
    ports = [p["nodePort"] for p in at(service, "spec", "ports", default=[]) if p.get("nodePort")]
    health = at(service, "spec", "healthCheckNodePort", default=0)
    return [*ports, health] if health else ports
