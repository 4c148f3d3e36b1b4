"""One suite for every provider: what the controllers rely on, by part."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from conformance.cloud import drivers
from tiphys.api.meta import Obj
from tiphys.cloud.provider import (
    Instances,
    LoadBalancers,
    Provider,
    ProviderError,
    Route,
    Routes,
    balancer_name,
)
from tiphys.cloud.providers.libcloud.provider import libcloud_provider
from tiphys.cloud.providers.local import LocalLoadBalancers

POOL = "192.168.49.128/29"


class Cloud:
    """A cloud that outlives the provider: `again` is a controller manager that was restarted."""

    def __init__(self, make: Callable[["Cloud"], Provider], balancers: Any = None) -> None:
        self.services: list[Obj] = []  # As the API server has them.
        self.balancers = balancers
        self._make = make
        self.provider = make(self)

    def again(self) -> LoadBalancers:
        self.provider = self._make(self)
        return self.load_balancers

    @property
    def load_balancers(self) -> LoadBalancers:
        assert self.provider.load_balancers is not None
        return self.provider.load_balancers

    @property
    def instances(self) -> Instances:
        assert self.provider.instances is not None
        return self.provider.instances

    @property
    def routes(self) -> Routes:
        assert self.provider.routes is not None
        return self.provider.routes


def a_local_cloud() -> Cloud:
    return Cloud(lambda c: Provider("local", LocalLoadBalancers(POOL, lambda: c.services)))


def a_libcloud(directory: Path) -> Cloud:
    drivers.register()
    key = str(directory)  # The module may be loaded under two names: no counter of its own.
    credentials = directory / "credentials.yaml"
    credentials.write_text(f"key: {key}\n")
    (directory / "machines.yaml").write_text("creds: any\n")
    credentials.chmod(0o600)
    (directory / "machines.yaml").chmod(0o600)
    file = directory / "cloud.yaml"
    file.write_text(
        f"compute: {{driver: {drivers.MACHINES}, credentialsFile: machines.yaml}}\n"
        f"loadBalancer: {{driver: {drivers.BALANCERS}, credentialsFile: credentials.yaml}}\n"
        "routes: true\n"
    )
    return Cloud(lambda c: libcloud_provider(file), drivers.MemoryBalancers(key))


@pytest.fixture(params=["local", "libcloud"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Cloud:
    return a_local_cloud() if request.param == "local" else a_libcloud(tmp_path)


@pytest.fixture
def machines(tmp_path: Path) -> Cloud:
    """The providers that know machines and routes."""
    return a_libcloud(tmp_path)


def tell(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def a_service(uid: str, port: int = 80) -> Obj:
    return {
        "metadata": {"uid": uid, "name": uid, "namespace": "default"},
        "spec": {
            "type": "LoadBalancer",
            "ports": [{"port": port, "nodePort": 30080, "protocol": "TCP"}],
        },
    }


def a_node(name: str, address: str = "", provider_id: str = "") -> Obj:
    addresses = [{"type": "InternalIP", "address": address}] if address else []
    return {
        "metadata": {"name": name},
        "spec": {"providerID": provider_id} if provider_id else {},
        "status": {"addresses": addresses},
    }


def with_status(service: Obj, ingress: list[Obj]) -> Obj:
    return service | {"status": {"loadBalancer": {"ingress": ingress}}}


NODES = [a_node("n1", "10.0.0.1"), a_node("n2", "10.0.0.2")]


def test_a_service_keeps_its_address_however_often_it_is_asked_for(cloud: Cloud) -> None:
    async def story() -> None:
        service = a_service("aaaa-1")
        first = await cloud.load_balancers.ensure(service, NODES)
        assert len(first) == 1
        assert first[0].keys() & {"ip", "hostname"}
        assert await cloud.load_balancers.ensure(service, NODES) == first
        cloud.services = [with_status(service, first)]
        assert await cloud.load_balancers.ensure(cloud.services[0], NODES[:1]) == first

    tell(story())


def test_after_a_restart_the_same_balancer_is_found(cloud: Cloud) -> None:
    async def story() -> None:
        service = a_service("aaaa-1")
        first = await cloud.load_balancers.ensure(service, NODES)
        cloud.services = [with_status(service, first)]
        assert await cloud.again().ensure(cloud.services[0], NODES) == first
        other = await cloud.load_balancers.ensure(a_service("bbbb-2"), NODES)
        assert other != first, "two Services share no address"

    tell(story())


def test_a_balancer_that_is_gone_can_be_deleted_again(cloud: Cloud) -> None:
    async def story() -> None:
        service = a_service("aaaa-1")
        await cloud.load_balancers.ensure(service, NODES)
        await cloud.load_balancers.delete(service)
        await cloud.again().delete(service)
        assert await cloud.load_balancers.ensure(service, NODES)

    tell(story())


def test_the_members_of_a_balancer_follow_the_nodes(machines: Cloud) -> None:
    def members(name: str) -> set[tuple[str, int]]:
        found = [b for b in machines.balancers.list_balancers() if b.name == name]
        assert len(found) == 1
        return {(m.ip, m.port) for m in machines.balancers.balancer_list_members(found[0])}

    async def story() -> None:
        service = a_service("aaaa-1")
        await machines.load_balancers.ensure(service, NODES[:1])
        assert members(balancer_name(service)) == {("10.0.0.1", 30080)}
        await machines.again().ensure(service, [NODES[1], a_node("n3", "10.0.0.3")])
        assert members(balancer_name(service)) == {("10.0.0.2", 30080), ("10.0.0.3", 30080)}
        await machines.load_balancers.ensure(a_service("aaaa-1", 8080), NODES)
        assert [b.port for b in machines.balancers.list_balancers()] == [8080]
        await machines.load_balancers.delete(service)
        assert machines.balancers.list_balancers() == []

    tell(story())


def test_what_a_driver_cannot_do_is_said(machines: Cloud) -> None:
    async def story() -> None:
        service = a_service("aaaa-1")
        service["spec"]["ports"] *= 2
        with pytest.raises(ProviderError, match="has one port, the Service has 2"):
            await machines.load_balancers.ensure(service, NODES)
        service["spec"]["ports"] = [{"port": 53, "nodePort": 30053, "protocol": "UDP"}]
        with pytest.raises(ProviderError, match="balances tcp, http, not udp"):
            await machines.load_balancers.ensure(service, NODES)

    tell(story())


def test_machines_are_known_by_name_and_by_provider_id(machines: Cloud) -> None:
    async def story() -> None:
        instances = machines.instances
        known = await instances.metadata(a_node("dummy-1"))
        assert known.provider_id.startswith("libcloud://")
        assert {"type": "ExternalIP", "address": "127.0.0.1"} in known.addresses
        assert await instances.metadata(a_node("renamed", provider_id=known.provider_id)) == known
        assert await instances.exists(a_node("dummy-1"))
        assert not await instances.exists(a_node("nobody"))
        assert not await instances.exists(a_node("dummy-1", provider_id="libcloud://x/9"))
        assert not await instances.is_shut_down(a_node("dummy-1"))
        with pytest.raises(ProviderError, match="no machine nobody"):
            await instances.metadata(a_node("nobody"))

    tell(story())


def test_routes_are_made_once_and_go(machines: Cloud) -> None:
    async def story() -> None:
        wanted = Route("n1", "10.244.0.0/24", "10.0.0.1")
        for _ in range(2):
            await machines.routes.create(wanted)
        found = await machines.routes.list()
        assert [without_name(r) for r in found] == [Route("", "10.244.0.0/24", "10.0.0.1")]
        await machines.routes.delete(found[0])
        await machines.routes.delete(found[0])
        assert list(await machines.routes.list()) == []

    tell(story())


def without_name(route: Route) -> Route:
    return route._replace(name="")
