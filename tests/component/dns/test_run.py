"""The DNS server beside a real API server: it follows Services and its ConfigMap."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from support.client_rig import Rig, rig
from support.dns_upstream import Upstream, addresses, ask, free_port
from tiphys.api.errors import ApiError
from tiphys.api.meta import Obj
from tiphys.client.recorder import EVENTS
from tiphys.client.rest import Client
from tiphys.dns.config import DnsConfig
from tiphys.dns.run import CONFIG_MAPS, SERVICES, Dns
from tiphys.dns.settings import NAME, NAMESPACE
from tiphys.lib.tasks import TaskSet


async def until_told(port: int, name: str, wanted: list[str]) -> None:
    while True:
        try:
            if addresses(await ask(port, name)) == wanted:
                return
        except OSError:
            pass  # It does not listen yet.
        await asyncio.sleep(0.01)


def config_map(**data: str) -> Obj:
    return {"metadata": {"name": NAME, "namespace": NAMESPACE}, "data": data}


async def write(client: Client, obj: Obj) -> None:
    try:
        await client.create(CONFIG_MAPS, obj)
    except ApiError:
        await client.update(CONFIG_MAPS, obj)


def tell(tmp_path: Path, story: Callable[[Rig, int], Awaitable[None]]) -> None:
    async def run() -> None:
        async with rig(tmp_path) as found:
            port = free_port()
            tasks = TaskSet()
            config = DnsConfig(Path(), ("127.0.0.1",), port, node_name="n1")
            tasks.start(Dns(found.direct(), config).run(), "dns")
            try:
                await story(found, port)
            finally:
                await tasks.close()

    asyncio.run(run())


def test_names_follow_services(tmp_path: Path) -> None:
    async def story(found: Rig, port: int) -> None:
        client = found.direct()
        service: Obj = {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"ports": [{"port": 80}]},
        }
        made = await client.create(SERVICES, service)
        name = "web.default.svc.cluster.local"
        await until_told(port, name, [made["spec"]["clusterIP"]])
        await client.delete(SERVICES, "web", "default")
        await until_told(port, name, [])

    tell(tmp_path, story)


def test_stub_domains_follow_the_config_map(tmp_path: Path) -> None:
    async def story(found: Rig, port: int) -> None:
        client = found.direct()
        corp, usual = Upstream("192.0.2.1"), Upstream("192.0.2.2")
        for one in (corp, usual):
            await one.start()
        stubs = json.dumps({"corp": [f"127.0.0.1:{corp.port}"]})
        others = json.dumps([f"127.0.0.1:{usual.port}"])
        await write(client, config_map(stubDomains=stubs, upstreamNameservers=others))
        await until_told(port, "a.corp", ["192.0.2.1"])
        await until_told(port, "example.com", ["192.0.2.2"])

        await write(client, config_map(stubDomains="{", upstreamNameservers=others))
        event = await an_event(client)
        assert "stubDomains is not JSON" in event["message"]
        assert event["involvedObject"]["name"] == NAME
        assert event["type"] == "Warning"
        await until_told(port, "b.corp", ["192.0.2.1"])

        await write(client, config_map(upstreamNameservers=others))
        await until_told(port, "c.corp", ["192.0.2.2"])
        for one in (corp, usual):
            one.stop()

    tell(tmp_path, story)


async def an_event(client: Client) -> Obj:
    while True:
        listed = await client.list(EVENTS, NAMESPACE)
        for one in listed["items"]:
            if one["reason"] == "InvalidConfiguration":
                found: Obj = one
                return found
        await asyncio.sleep(0.01)


def test_the_first_answer_is_a_right_one(tmp_path: Path) -> None:
    """Nothing is told before the lists have been read: an early `no such name` would be kept."""

    async def story(found: Rig, port: int) -> None:
        while True:
            try:
                told = await ask(port, "kubernetes.default.svc.cluster.local")
            except OSError:
                continue
            assert len(addresses(told)) == 1
            return

    tell(tmp_path, story)
