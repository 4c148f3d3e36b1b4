"""Cluster addresses and node ports of Services: given out, and free again when no Service has them.

What Services hold is read from the committed writes, so that no way of ending or changing one can
forget it. A write that is under way reserves what it was given until it is committed or has failed.
Addresses are drawn at random from the upper part of the range, so that the lower part stays free
for those who choose one (the first is the API server's, the tenth the DNS server's).
Upstream: pkg/registry/core/service/{ipallocator,portallocator,storage/alloc.go}, KEP-3070.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network
from types import TracebackType
from typing import Final, NamedTuple, Self

from tiphys.api.errors import InternalError
from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import Obj, at
from tiphys.codec import json
from tiphys.storage.backend import Event
from tiphys.storage.store import CATCH_UP_SECONDS_MAX, resource_prefix

LOW_BAND_MIN: Final = 16
LOW_BAND_MAX: Final = 256
RANDOM_TRIES_MAX: Final = 64  # Then the range is searched in order.
SERVICES: Final = resource_prefix("", "services")
_WITH_ADDRESS: Final = frozenset({"ClusterIP", "NodePort", "LoadBalancer"})
_WITH_NODE_PORTS: Final = frozenset({"NodePort", "LoadBalancer"})


class Pool:
    """A range of numbers: those that Services hold, and those reserved for writes under way."""

    def __init__(self, first: int, last: int, low_band: int, rng: random.Random) -> None:
        self._first = first
        self._last = last
        self._low_band = low_band
        self._rng = rng
        self._held: Counter[int] = Counter()  # More than once only if the store was edited by hand.
        self._reserved: set[int] = set()

    def reserve(self, number: int) -> bool:
        """False when it is in use or out of range."""
        if not self.contains(number) or number in self._reserved or self._held[number]:
            return False
        self._reserved.add(number)
        return True

    def reserve_any(self) -> int | None:
        """A free number, the upper band first; None when the range is full."""
        upper = min(self._first + self._low_band, self._last)
        for _ in range(RANDOM_TRIES_MAX):
            number: int = self._rng.randint(upper, self._last)
            if self.reserve(number):
                return number
        for number in (*range(upper, self._last + 1), *range(self._first, upper)):
            if self.reserve(number):
                return number
        return None

    def contains(self, number: int) -> bool:
        return self._first <= number <= self._last

    def unreserve(self, number: int) -> None:
        self._reserved.discard(number)

    def hold(self, numbers: Iterable[int]) -> None:
        self._held.update(numbers)

    def drop(self, numbers: Iterable[int]) -> None:
        self._held.subtract(numbers)
        self._held = +self._held

    def is_held(self, number: int) -> bool:
        """Whether a Service has it."""
        return self._held[number] > 0

    @property
    def reserved_count(self) -> int:
        return len(self._reserved)

    @property
    def bounds(self) -> tuple[int, int]:
        return self._first, self._last


class Reservation:
    """What a write under way was given; as a context it lasts as long as the write.

    A cancelled write may still be committed: its numbers stay reserved until that can no longer be.
    """

    __slots__ = ("_on_release", "numbers")

    def __init__(self) -> None:
        self.numbers: list[tuple[Pool, int]] = []
        self._on_release: list[Callable[[], None]] = []

    def add(self, pool: Pool, number: int) -> None:
        self.numbers.append((pool, number))

    def on_release(self, work: Callable[[], None]) -> None:
        """Also do this when the numbers are let go."""
        self._on_release.append(work)

    def leave(self, pool: Pool, number: int) -> None:
        """Let it stay reserved when the rest is released."""
        self.numbers = [n for n in self.numbers if n != (pool, number)]

    def release(self) -> None:
        for pool, number in self.numbers:
            pool.unreserve(number)
        for work in self._on_release:
            work()
        self.numbers.clear()
        self._on_release.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.numbers and isinstance(error, asyncio.CancelledError):
            asyncio.get_running_loop().call_later(CATCH_UP_SECONDS_MAX, self.release)
        else:
            self.release()


class _Held(NamedTuple):
    addresses: tuple[int, ...]
    ports: tuple[int, ...]


_NOTHING: Final = _Held((), ())


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
        self._held: dict[str, _Held] = {}  # By the service's key.

    @property
    def api_server(self) -> str:
        return str(self.network.network_address + 1)

    @property
    def reserved(self) -> tuple[int, int]:
        """How many addresses and ports are reserved for writes under way."""
        return self._addresses.reserved_count, self._ports.reserved_count

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
        now = _Held(_address_numbers(service), tuple(node_ports_of(service)))
        before = self._held.pop(key, _NOTHING)
        if service is not None:
            self._held[key] = now
        self._addresses.hold(now.addresses)
        self._ports.hold(now.ports)
        self._addresses.drop(before.addresses)
        self._ports.drop(before.ports)

    def allocate(self, new: Obj, old: Obj | None, reserved: Reservation) -> list[FieldError]:
        """Give a service what it needs and lacks; the object is changed in place."""
        return (
            self._allocate_address(new, old, reserved)
            or self._allocate_ports(new, old, reserved)
            or self._allocate_health_port(new, reserved)
        )

    def _allocate_address(
        self, new: Obj, old: Obj | None, reserved: Reservation
    ) -> list[FieldError]:
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
            return self._take_address(asked, spec, reserved)
        number = self._addresses.reserve_any()
        if number is None:
            raise InternalError(
                "failed to allocate a serviceIP: range is full", code=500, reason="InternalError"
            )
        reserved.add(self._addresses, number)
        spec["clusterIP"] = str(IPv4Address(number))
        spec["clusterIPs"] = [spec["clusterIP"]]
        return []

    def _take_address(self, asked: str, spec: Obj, reserved: Reservation) -> list[FieldError]:
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
        if not self._addresses.reserve(number):
            text = f"failed to allocate IP {asked}: provided IP is already allocated"
            return [invalid("spec.clusterIPs", shown, text)]
        reserved.add(self._addresses, number)
        spec["clusterIP"], spec["clusterIPs"] = asked, shown
        return []

    def _allocate_ports(self, new: Obj, old: Obj | None, reserved: Reservation) -> list[FieldError]:
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
                if not self._ports.reserve(asked):
                    return [self._port_error(index, asked)]
                number: int | None = asked
            elif wants_any:
                number = self._twin(spec["ports"][:index], port) or self._ports.reserve_any()
                if number is None:
                    raise InternalError("failed to allocate a nodePort: range is full")
                port["nodePort"] = number
            else:
                continue
            held.add(int(number or 0))
            reserved.add(self._ports, int(number or 0))
        return []

    def _allocate_health_port(self, new: Obj, reserved: Reservation) -> list[FieldError]:
        """A load balancer that only wants local endpoints asks each node whether it has one."""
        spec = new["spec"]
        local = spec.get("externalTrafficPolicy") == "Local"
        if spec.get("type") != "LoadBalancer" or not local or spec.get("healthCheckNodePort"):
            return []
        number = self._ports.reserve_any()
        if number is None:
            raise InternalError("failed to allocate a healthCheckNodePort: range is full")
        reserved.add(self._ports, number)
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
            first, last = self._ports.bounds
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


def _address_numbers(service: Obj | None) -> tuple[int, ...]:
    """Addresses of the other family are nobody's here."""
    return tuple(int(IPv4Address(a)) for a in addresses_of(service) if ":" not in a)


def node_ports_of(service: Obj | None) -> list[int]:
    ports = [p["nodePort"] for p in at(service, "spec", "ports", default=[]) if p.get("nodePort")]
    health = at(service, "spec", "healthCheckNodePort", default=0)
    return [*ports, health] if health else ports
