"""Addresses and node ports of Services: given out once, taken back, never lost."""

import asyncio
import random
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

import pytest

from support.api_server import Api, RunningApiServer, Story
from tiphys.apiserver.number_pool import Reservation
from tiphys.apiserver.service_addresses import ServiceAddresses

SERVICES = "/api/v1/namespaces/default/services"
Tell = Callable[[Story], None]


def test_addresses_are_given_out_once_and_taken_back(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        path = SERVICES
        service = {"spec": {"ports": [{"port": 80}], "clusterIP": "10.96.0.10"}}
        assert (await api("POST", path, service | {"metadata": {"name": "dns"}}))[0] == 201
        status, refused = await api("POST", path, service | {"metadata": {"name": "other"}})
        assert status == 422
        assert "provided IP is already allocated" in refused["message"]
        await api("DELETE", f"{path}/dns")
        assert (await api("POST", path, service | {"metadata": {"name": "other"}}))[0] == 201

    tell(story)


def a_service(name: str, address: str = "", node_port: int = 0, **spec: Any) -> dict[str, Any]:
    spec |= {"ports": [{"port": 80} | ({"nodePort": node_port} if node_port else {})]}
    if address:
        spec["clusterIP"] = address
    return {"metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize("way", ["changed", "collection", "finalizer removed", "kind changed"])
def test_addresses_come_back_however_a_service_gives_them_up(tell: Tell, way: str) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        old = a_service("a", "10.96.0.20", 30020, type="NodePort")
        if way == "finalizer removed":
            old["metadata"]["finalizers"] = ["x.io/hold"]
        assert (await api("POST", SERVICES, old))[0] == 201
        taken = await api("POST", SERVICES, a_service("b", "10.96.0.20"))
        assert "provided IP is already allocated" in taken[1]["message"]
        patch = {"content-type": "application/merge-patch+json"}
        if way == "collection":
            assert (await api("DELETE", SERVICES + "?labelSelector=!component"))[0] == 200
        elif way == "finalizer removed":
            await api("DELETE", f"{SERVICES}/a")
            await api("PATCH", f"{SERVICES}/a", {"metadata": {"finalizers": None}}, patch)
            assert (await api("GET", f"{SERVICES}/a"))[0] == 404
        else:
            spec: dict[str, Any] = {"type": "ExternalName", "externalName": "x.example"}
            spec |= {"clusterIP": None, "clusterIPs": None, "ports": None}
            if way == "kind changed":
                spec = {"ports": [{"port": 80, "nodePort": 30021}]}
            status, document = await api("PATCH", f"{SERVICES}/a", {"spec": spec}, patch)
            assert status == 200, document
        address = "" if way == "kind changed" else "10.96.0.20"
        again = a_service("b", address, 30020, type="NodePort")
        status, document = await api("POST", SERVICES, again)
        assert status == 201, document

    tell(story)


def test_a_refused_or_contended_write_of_a_service_keeps_nothing(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        patch = {"content-type": "application/merge-patch+json"}
        assert (await api("POST", SERVICES, a_service("a")))[0] == 201
        refused = await api("POST", SERVICES, a_service("a", "10.96.0.30"))
        assert refused[1]["reason"] == "AlreadyExists"
        label = [
            api("PATCH", f"{SERVICES}/a", {"spec": {"type": "NodePort"}, "metadata": m}, patch)
            for m in ({"labels": {f"l{n}": "x"}} for n in range(8))
        ]
        answers = await asyncio.gather(*label)
        assert {status for status, _ in answers} == {200}
        assert (await api("POST", SERVICES, a_service("b", "10.96.0.30")))[0] == 201
        assert running.server.addresses.reserved == (0, 0)

    tell(story)


def test_a_cancelled_write_of_a_service_keeps_its_addresses_until_it_is_decided() -> None:
    addresses = ServiceAddresses(IPv4Network("10.96.0.0/24"), (30000, 30100), random.Random(1))
    service = {"metadata": {}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}

    async def write() -> None:
        with Reservation() as reserved:
            assert addresses.allocate(service, None, reserved, addresses.ports(reserved)) == []
            await asyncio.Event().wait()

    async def story() -> None:
        writing = asyncio.create_task(write())
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
        assert addresses.reserved == (1, 1)

    asyncio.run(story())


def test_the_range_of_service_addresses_is_told(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        path = "/apis/networking.k8s.io/v1/servicecidrs/kubernetes"
        _, cidr = await api("GET", path)
        assert cidr["spec"] == {"cidrs": ["10.96.0.0/16"]}
        assert [(c["type"], c["status"]) for c in cidr["status"]["conditions"]] == [
            ("Ready", "True")
        ]
        _, service = await api("GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1.apps")
        assert service["status"]["conditions"][0]["lastTransitionTime"]

    tell(story)


def ports(*found: tuple[int, str, int]) -> dict[str, Any]:
    names = ("port", "protocol", "nodePort")
    made = [dict(zip(names, port, strict=True)) for port in found]
    named = [{"name": f"p{i}"} | {k: v for k, v in p.items() if v} for i, p in enumerate(made)]
    return {"metadata": {"name": "a"}, "spec": {"type": "NodePort", "ports": named}}


@pytest.mark.parametrize(
    ("service", "wanted"),
    [
        (ports((80, "TCP", 0), (80, "UDP", 30040)), [30040, 30040]),
        (ports((80, "TCP", 30040), (80, "UDP", 30040)), [30040, 30040]),
        (ports((80, "TCP", 30040), (80, "UDP", 30041)), [30040, 30041]),
        (ports((80, "TCP", 30040), (81, "UDP", 30040)), []),
    ],
)
def test_protocols_of_one_port_share_a_node_port(
    tell: Tell, service: dict[str, Any], wanted: list[int]
) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        status, made = await api("POST", SERVICES, service)
        assert status == (201 if wanted else 422), made
        if wanted:
            assert [port["nodePort"] for port in made["spec"]["ports"]] == wanted
        else:
            assert "provided port is already allocated" in made["message"]

    tell(story)


def test_a_port_for_health_checks_that_is_taken(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        assert (await api("POST", SERVICES, a_service("a", "", 30050, type="NodePort")))[0] == 201
        balancer = a_service("b", type="LoadBalancer", externalTrafficPolicy="Local")
        balancer["spec"]["healthCheckNodePort"] = 30050
        status, refused = await api("POST", SERVICES, balancer)
        assert status == 500
        assert refused["message"] == (
            "Internal error occurred: failed to allocate requested HealthCheck NodePort 30050:"
            " provided port is already allocated"
        )

    tell(story)
