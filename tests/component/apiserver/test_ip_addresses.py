"""IPAddress objects follow the Services, whoever changes them."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop

from support.api_server import Api, memory_backend, start
from support.etcd import etcd
from support.waiting import until
from tiphys.apiserver.announcement import announced
from tiphys.lib.clock import SystemClock
from tiphys.storage.etcd.backend import EtcdBackend

ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
SERVICES = "/api/v1/namespaces/default/services"
API_SERVER = "10.96.0.1"


async def parents(api: Api) -> dict[str, str]:
    """Which Service each address is said to belong to."""
    _, listed = await api("GET", ADDRESSES)
    shown = {}
    for item in listed["items"]:
        parent = item["spec"]["parentRef"]
        assert parent["resource"] == "services"
        assert item["metadata"]["labels"] == {
            "ipaddress.kubernetes.io/ip-family": "IPv4",
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
        }
        shown[item["metadata"]["name"]] = f"{parent['namespace']}/{parent['name']}"
    return shown


async def until_said(api: Api, wanted: dict[str, str]) -> None:
    async def is_said() -> bool:
        return await parents(api) == {API_SERVER: "default/kubernetes"} | wanted

    await until(is_said)


async def check(apis: list[Api]) -> None:
    one, other = apis[0], apis[-1]

    def a_service(name: str, **spec: Any) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]} | spec}

    await until_said(one, {})
    _, made = await one("POST", SERVICES, a_service("a"))
    address = made["spec"]["clusterIP"]
    await other("POST", SERVICES, a_service("headless", clusterIP="None"))
    await until_said(other, {address: "default/a"})
    for _ in range(5):
        await other("DELETE", f"{SERVICES}/a")
        await one("POST", SERVICES, a_service("b", clusterIP=address))
        await one("DELETE", f"{SERVICES}/b")
        await other("POST", SERVICES, a_service("a", clusterIP=address))
    await until_said(one, {address: "default/a"})
    assert (await one("DELETE", f"{ADDRESSES}/{address}"))[0] == 200
    await until_said(one, {address: "default/a"})
    _, before = await one("GET", ADDRESSES)
    await asyncio.sleep(0.3)  # Nothing more is written: nobody writes what is there.
    _, after = await one("GET", ADDRESSES)
    assert before["items"] == after["items"]
    await other("DELETE", f"{SERVICES}/a")
    await until_said(one, {})


def test_a_server_alone(tmp_path: Path) -> None:
    async def story() -> None:
        running, listening = await start(tmp_path, memory_backend())
        async with announced(running.server.config, running.server), asyncio.timeout(60):
            await check([running.client()])
        await listening.__aexit__()

    uvloop.run(story())


def test_two_servers_on_one_store(tmp_path: Path) -> None:
    async def story() -> None:
        with etcd() as cluster:
            async with AsyncExitStack() as stack, asyncio.timeout(60):
                apis = []
                for name in "ab":
                    backend = await EtcdBackend.open(
                        cluster.endpoints, cluster.tls(), SystemClock()
                    )
                    stack.push_async_callback(backend.close)
                    running, listening = await start(tmp_path / name, backend)
                    stack.push_async_callback(listening.__aexit__)
                    config = running.server.config
                    await stack.enter_async_context(announced(config, running.server))
                    apis.append(running.client())
                await check(apis)

    uvloop.run(story())
