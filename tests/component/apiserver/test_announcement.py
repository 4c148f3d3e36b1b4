"""Which API servers the cluster is told of: those that live."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop

from support.api_server import Api, memory_backend, start
from support.etcd import etcd
from support.waiting import until
from tiphys.apiserver.announcement import announced
from tiphys.apiserver.identity_lease import lease_name
from tiphys.lib.clock import SystemClock
from tiphys.storage.etcd.backend import EtcdBackend

ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
SLICE = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
STORY_SECONDS_MAX = 60  # A lease that is not renewed lasts 15 s.


async def published(api: Api) -> tuple[list[str], list[str]]:
    """Addresses of the Endpoints and of the EndpointSlice."""
    status, endpoints = await api("GET", ENDPOINTS)
    if status != 200:
        return [], []
    _, slice_ = await api("GET", SLICE)
    in_slice = [e["addresses"][0] for e in slice_["endpoints"]] if "endpoints" in slice_ else []
    return [a["ip"] for a in endpoints["subsets"][0]["addresses"]], in_slice


async def until_published(api: Api, *addresses: str) -> None:
    async def are() -> bool:
        return await published(api) == (list(addresses),) * 2

    await until(are)


def test_the_endpoints_are_the_servers_that_live(tmp_path: Path) -> None:
    async def story(begin: Callable[[str], Any]) -> None:
        api, end = await begin("10.0.0.2")
        await until_published(api, "10.0.0.2")
        _, leave = await begin("10.0.0.1")
        _, die = await begin("10.0.0.3")
        await until_published(api, "10.0.0.1", "10.0.0.2", "10.0.0.3")
        _, leases = await api("GET", LEASES)
        names = {o["metadata"]["name"] for o in leases["items"]}
        assert names == {lease_name(f"host-10.0.0.{n}") for n in (1, 2, 3)}
        await leave()
        assert await published(api) == (["10.0.0.2", "10.0.0.3"],) * 2
        await die(silently=True)
        await until_published(api, "10.0.0.2")
        await end()

    async def whole() -> None:
        with etcd() as cluster:
            async with asyncio.timeout(STORY_SECONDS_MAX):

                async def begin(address: str) -> tuple[Api, Any]:
                    backend = await EtcdBackend.open(
                        cluster.endpoints, cluster.tls(), SystemClock()
                    )
                    running, listening = await start(tmp_path / address, backend)
                    config = replace(
                        running.server.config, advertise_address=address, hostname=f"host-{address}"
                    )
                    announcement = announced(config, running.server)
                    await announcement.__aenter__()

                    async def end(*, silently: bool = False) -> None:
                        if silently:
                            await backend.close()  # As a process that is no more.
                        await announcement.__aexit__(None, None, None)
                        await listening.__aexit__()
                        await backend.close()

                    return running.client(), end

                await story(begin)

    uvloop.run(whole())


def test_a_server_alone_says_who_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        running, listening = await start(tmp_path, memory_backend())
        api = running.client()
        async with asyncio.timeout(STORY_SECONDS_MAX):
            async with announced(replace(running.server.config, hostname="h"), running.server):
                path = f"{LEASES}/{lease_name('h')}"

                async def is_there() -> bool:
                    return (await api("GET", path))[0] == 200

                await until(is_there)
                _, lease = await api("GET", path)
            assert lease["metadata"]["labels"] == {
                "apiserver.kubernetes.io/identity": "kube-apiserver",
                "kubernetes.io/hostname": "h",
            }
            assert lease["spec"]["holderIdentity"].startswith(lease_name("h") + "_")
            assert await published(api) == (["127.0.0.1"], ["127.0.0.1"])
        await listening.__aexit__()

    uvloop.run(story())
