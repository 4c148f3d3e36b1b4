"""Load balancers by a driver of Libcloud, found again by their names after a restart.

A balancer of Libcloud has one port and an address of its own: a Service with several ports would
need several addresses, each for one port, which a Service cannot say; it is refused.
"""

from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address
from typing import Any

from libcloud.loadbalancer.base import Algorithm, Member

from tiphys.api.meta import Obj, at
from tiphys.cloud.provider import ProviderError, address_of, balancer_name
from tiphys.cloud.providers.libcloud.calls import call


def port_of(service: Obj) -> Obj:
    """The one port of a Service. Raises ProviderError."""
    ports = at(service, "spec", "ports", default=[])
    if len(ports) != 1:
        raise ProviderError(f"a balancer of Libcloud has one port, the Service has {len(ports)}")
    if not ports[0].get("nodePort"):
        raise ProviderError("the Service has no node port (allocateLoadBalancerNodePorts)")
    found: Obj = ports[0]
    return found


def wanted_members(nodes: Sequence[Obj], port: Obj) -> set[tuple[str, int]]:
    """(address, node port) of every node that has an address."""
    return {(address_of(n), int(port["nodePort"])) for n in nodes if address_of(n)}


def ingress_of(address: str | None) -> list[Obj]:
    """Clouds give an address or a name."""
    if not address:
        return []
    try:
        return [{"ip": str(ip_address(address)), "ipMode": "VIP"}]
    except ValueError:
        return [{"hostname": address}]


class LibcloudLoadBalancers:
    def __init__(self, driver: Any) -> None:
        self._driver = driver

    async def ensure(self, service: Obj, nodes: Sequence[Obj]) -> list[Obj]:
        port = port_of(service)
        members = wanted_members(nodes, port)
        balancer = await self._find(service)
        if balancer is not None and str(balancer.port) != str(port["port"]):
            await call(lambda: self._driver.destroy_balancer(balancer))
            balancer = None
        if balancer is None:
            balancer = await self._create(service, port, members)
        else:
            await self._update(balancer, members)
        return ingress_of(balancer.ip)

    async def delete(self, service: Obj) -> None:
        balancer = await self._find(service)
        if balancer is not None:
            await call(lambda: self._driver.destroy_balancer(balancer))

    async def _find(self, service: Obj) -> Any:
        name = balancer_name(service)
        found = await call(self._driver.list_balancers)
        return next((b for b in found if b.name == name), None)

    async def _create(self, service: Obj, port: Obj, members: set[tuple[str, int]]) -> Any:
        protocol = str(port.get("protocol", "TCP")).lower()
        known = await call(self._driver.list_protocols)
        if protocol not in known:
            raise ProviderError(f"the driver balances {', '.join(known)}, not {protocol}")
        return await call(
            lambda: self._driver.create_balancer(
                name=balancer_name(service),
                port=port["port"],
                protocol=protocol,
                algorithm=Algorithm.ROUND_ROBIN,
                members=[Member(None, ip, number) for ip, number in sorted(members)],
            )
        )

    async def _update(self, balancer: Any, wanted: set[tuple[str, int]]) -> None:
        """Those who come before those who go: the balancer is never empty in between."""
        have = {
            (str(m.ip), int(m.port)): m
            for m in await call(lambda: self._driver.balancer_list_members(balancer))
        }
        for ip, number in sorted(wanted - have.keys()):
            attach = partial(self._driver.balancer_attach_member, balancer)
            await call(partial(attach, Member(None, ip, number)))
        for key in sorted(have.keys() - wanted):
            await call(partial(self._driver.balancer_detach_member, balancer, have[key]))
