"""Addresses of the local provider: unique, kept, asked for."""

import asyncio
from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.cloud.provider import ProviderError
from tiphys.cloud.providers.local import LocalLoadBalancers, choose
from tiphys.cloud.service import wants_balancer

POOL = "192.168.49.128/29"


def a_service(uid: str, address: str = "", **spec: Any) -> Obj:
    ingress = [{"ip": address}] if address else []
    return {
        "metadata": {"uid": uid, "name": uid, "namespace": "default"},
        "spec": {"type": "LoadBalancer"} | spec,
        "status": {"loadBalancer": {"ingress": ingress}},
    }


@pytest.mark.parametrize(
    ("taken", "wanted", "got"),
    [
        pytest.param([], "", "192.168.49.129", id="first"),
        pytest.param(["192.168.49.129"], "", "192.168.49.130", id="next"),
        pytest.param([], "192.168.49.133", "192.168.49.133", id="asked-for"),
    ],
)
def test_choose(taken: list[str], wanted: str, got: str) -> None:
    assert choose(POOL, taken, wanted) == got


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        pytest.param("192.168.49.129", "is in use", id="in-use"),
        pytest.param("10.0.0.1", "is not in the pool", id="elsewhere"),
        pytest.param("nonsense", "is not an IPv4 address", id="nonsense"),
    ],
)
def test_addresses_that_cannot_be_had(wanted: str, why: str) -> None:
    with pytest.raises(ProviderError, match=why):
        choose(POOL, ["192.168.49.129"], wanted)


def test_two_services_at_once_get_two_addresses_and_keep_them() -> None:
    async def story() -> None:
        services = [a_service("a"), a_service("b")]
        balancers = LocalLoadBalancers(POOL, lambda: services)
        first = await balancers.ensure(services[0], [])
        second = await balancers.ensure(services[1], [])
        assert first[0]["ip"] != second[0]["ip"]
        assert await balancers.ensure(services[0], []) == first

    asyncio.run(story())


@pytest.mark.parametrize(
    ("service", "ours"),
    [
        pytest.param(a_service("a"), True, id="load-balancer"),
        pytest.param(a_service("a", type="ClusterIP"), False, id="cluster-ip"),
        pytest.param(a_service("a", loadBalancerClass="x/y"), False, id="of-another-class"),
    ],
)
def test_which_services_are_ours(service: Obj, ours: bool) -> None:
    assert wants_balancer(service) is ours
