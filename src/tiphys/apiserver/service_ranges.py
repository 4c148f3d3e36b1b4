"""The ranges of cluster addresses of Services: the server's own, and those of ready ServiceCIDRs.

Ranges may overlap; what is taken in one is taken in all. Those of IPv6 give nothing here.
Upstream: pkg/registry/core/service/ipallocator/cidrallocator.go (MetaAllocator), KEP-1880.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Final

from tiphys.api.meta import Obj, at, condition, is_terminating
from tiphys.apiserver.number_pool import Numbers, Pool
from tiphys.codec import json
from tiphys.storage.backend import Event
from tiphys.storage.store import resource_prefix

SERVICE_CIDRS: Final = resource_prefix("networking.k8s.io", "servicecidrs")
LOW_BAND_MIN: Final = 16
LOW_BAND_MAX: Final = 256


class ServiceRanges:
    """See the module."""

    def __init__(self, network: IPv4Network, rng: random.Random) -> None:
        self._rng = rng
        self._numbers = Numbers()
        self._own = self._pool(network)
        self._networks: dict[str, list[IPv4Network]] = {}  # By the ServiceCIDR's key.
        self._more: dict[str, list[Pool]] = {}

    def _pool(self, network: IPv4Network) -> Pool:
        first, last = int(network.network_address) + 1, int(network.broadcast_address) - 1
        low = min(max(LOW_BAND_MIN, (last - first + 1) // 16), LOW_BAND_MAX)
        return Pool(first, last, low, self._rng, self._numbers)

    def load(self, cidrs: Mapping[str, Obj]) -> None:
        """Take in what the store has at the start, by key."""
        for key, cidr in cidrs.items():
            self._note(key, cidr)

    def follow(self, events: Sequence[Event]) -> None:
        """Take in committed writes of ServiceCIDRs (a listener of the store)."""
        for event in events:
            if event.key.startswith(SERVICE_CIDRS):
                self._note(event.key, json.decode(event.value) if event.value else None)

    def _note(self, key: str, cidr: Obj | None) -> None:
        networks = ready_networks(cidr)
        if networks == self._networks.get(key, []):
            return
        self._networks[key] = networks
        self._more[key] = [self._pool(network) for network in networks]
        if not networks:
            del self._networks[key], self._more[key]

    def more_of(self, other: "ServiceRanges") -> None:
        """Have another's ranges besides, in which nothing is taken."""
        networks = other.networks()
        self._more = {key: [self._pool(n) for n in many] for key, many in networks.items()}

    def networks(self) -> dict[str, list[IPv4Network]]:
        """Those of ServiceCIDRs, by key."""
        return dict(self._networks)

    def _pools(self) -> list[Pool]:
        return [self._own, *(pool for pools in self._more.values() for pool in pools)]

    def of(self, number: int) -> Pool | None:
        """A range that has the number."""
        return next((pool for pool in self._pools() if pool.contains(number)), None)

    def reserve_any(self) -> tuple[Pool, int] | None:
        """A free number of the first range that has one."""
        for pool in self._pools():
            number = pool.reserve_any()
            if number is not None:
                return pool, number
        return None

    def hold(self, numbers: Iterable[int]) -> None:
        self._numbers.hold(numbers)

    def drop(self, numbers: Iterable[int]) -> None:
        self._numbers.drop(numbers)

    @property
    def reserved_count(self) -> int:
        return self._own.reserved_count


def ready_networks(cidr: Obj | None) -> list[IPv4Network]:
    """What a ServiceCIDR offers now."""
    if cidr is None or is_terminating(cidr):
        return []
    if (condition(cidr, "Ready") or {}).get("status") != "True":
        return []
    return [IPv4Network(text) for text in at(cidr, "spec", "cidrs", default=[]) if ":" not in text]
