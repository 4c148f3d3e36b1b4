"""Drivers of Libcloud that keep everything in memory, for its own interfaces.

Libcloud's dummy is a compute driver only; its base class of load balancers has no dummy.
"""

from typing import Any, ClassVar

from libcloud.compute import providers as compute_providers
from libcloud.compute.drivers.dummy import DummyNodeDriver
from libcloud.compute.drivers.gce import GCERoute
from libcloud.loadbalancer import providers as balancer_providers
from libcloud.loadbalancer.base import Driver, LoadBalancer, Member
from libcloud.loadbalancer.types import State

BALANCERS = "tiphys-test-balancers"
MACHINES = "tiphys-test-machines"


class MemoryBalancers(Driver):  # type: ignore[misc]
    """One cloud for all drivers of the process that have the same key, as a cloud is for all."""

    name = "memory"
    clouds: ClassVar[dict[str, dict[str, tuple[LoadBalancer, dict[str, Member]]]]] = {}

    def __init__(self, key: str, **_: Any) -> None:
        self._cloud = self.clouds.setdefault(key, {})

    def list_protocols(self) -> list[str]:
        return ["tcp", "http"]

    def list_balancers(self) -> list[LoadBalancer]:
        return [balancer for balancer, _ in self._cloud.values()]

    def create_balancer(
        self, name: str, port: int, protocol: str, algorithm: int, members: list[Member]
    ) -> LoadBalancer:
        number = str(len(self._cloud) + 1)
        made = LoadBalancer(number, name, State.RUNNING, f"203.0.113.{number}", port, self)
        self._cloud[number] = (made, {})
        for member in members:
            self.balancer_attach_member(made, member)
        return made

    def destroy_balancer(self, balancer: LoadBalancer) -> bool:
        return self._cloud.pop(balancer.id, None) is not None

    def balancer_attach_member(self, balancer: LoadBalancer, member: Member) -> Member:
        key = f"{member.ip}:{member.port}"
        self._cloud[balancer.id][1][key] = Member(key, member.ip, member.port)
        return member

    def balancer_detach_member(self, balancer: LoadBalancer, member: Member) -> bool:
        return self._cloud[balancer.id][1].pop(member.id, None) is not None

    def balancer_list_members(self, balancer: LoadBalancer) -> list[Member]:
        return list(self._cloud[balancer.id][1].values())


class DummyWithRoutes(DummyNodeDriver):  # type: ignore[misc]
    """Libcloud's dummy machines, and routes as its driver of Google declares them."""

    def __init__(self, creds: str) -> None:
        super().__init__(creds)
        self.routes: dict[str, GCERoute] = {}

    def ex_list_routes(self) -> list[GCERoute]:
        return list(self.routes.values())

    def ex_create_route(
        self, name: str, dest_range: str, priority: int = 500, next_hop: str = ""
    ) -> GCERoute:
        extra = {"nextHopIp": next_hop}
        route = GCERoute(name, name, dest_range, priority, driver=self, extra=extra)
        self.routes[name] = route
        return route

    def ex_destroy_route(self, route: GCERoute) -> bool:
        return self.routes.pop(route.name, None) is not None


def register() -> None:
    """By Libcloud's own means for drivers of others; twice is an error there."""
    if BALANCERS not in balancer_providers.DRIVERS:
        balancer_providers.set_driver(BALANCERS, __name__, "MemoryBalancers")
    if MACHINES not in compute_providers.DRIVERS:
        compute_providers.set_driver(MACHINES, __name__, "DummyWithRoutes")
