"""The local provider: addresses from the profile's pool, which the host routes to its nodes.

The Service's own status is the record of who has which address, so nothing else is stored.
"""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network

from tiphys.api.meta import Obj, at, uid_of
from tiphys.cloud.provider import ProviderError


def choose(pool: str, taken: Iterable[str], wanted: str = "") -> str:
    """A free address, the wanted one if it is free. Raises ProviderError."""
    network = IPv4Network(pool)
    used = set(taken)
    if wanted:
        try:
            address = IPv4Address(wanted)
        except ValueError as exc:
            raise ProviderError(f'spec.loadBalancerIP "{wanted}" is not an IPv4 address') from exc
        if address not in network:
            raise ProviderError(f"spec.loadBalancerIP {wanted} is not in the pool {pool}")
        if wanted in used:
            raise ProviderError(f"spec.loadBalancerIP {wanted} is in use")
        return wanted
    for candidate in network.hosts():
        if str(candidate) not in used:
            return str(candidate)
    raise ProviderError(f"no free address in the pool {pool}")


class LocalLoadBalancers:
    def __init__(self, pool: str, services: Callable[[], list[Obj]]) -> None:
        self._pool = pool
        self._services = services
        self._given: dict[str, str] = {}  # uid -> address, until the cache shows it

    async def ensure(self, service: Obj, nodes: Sequence[Obj]) -> list[Obj]:
        uid = uid_of(service)
        have = _address(service) or self._given.get(uid, "")
        wanted = str(at(service, "spec", "loadBalancerIP", default=""))
        in_pool = bool(have) and IPv4Address(have) in IPv4Network(self._pool)
        if not in_pool or (wanted and wanted != have):
            others = {_address(s) for s in self._services() if uid_of(s) != uid}
            others |= {a for u, a in self._given.items() if u != uid}
            have = choose(self._pool, others, wanted)
            self._given[uid] = have
        return [{"ip": have, "ipMode": "VIP"}]

    async def delete(self, service: Obj) -> None:
        self._given.pop(uid_of(service), None)


def _address(service: Obj) -> str:
    return str(at(service, "status", "loadBalancer", "ingress", 0, "ip", default=""))
