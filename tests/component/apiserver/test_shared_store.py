"""Two API servers on three etcd members: each shows at once what the other one wrote."""

import asyncio
import json
import random
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop

from support.api_server import Api, RunningApiServer, start
from support.etcd import EtcdCluster, etcd
from support.relay import Relay
from support.waiting import until
from tiphys.apiserver.service_claims import KEY
from tiphys.lib.clock import SystemClock
from tiphys.storage.etcd.backend import EtcdBackend

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = {"content-type": "application/merge-patch+json"}
WRITERS = 4
LAG_SECONDS = 0.05  # More than a request takes: a cache that is not proved current is seen.
SMALL_PORTS = (30000, 30029)
OUTAGE_SECONDS_MAX = 3.0
STORY_SECONDS_MAX = 90
Servers = tuple[RunningApiServer, RunningApiServer]
Story = Callable[[Servers, EtcdCluster], Awaitable[None]]


def tell(directory: Path, members: int, story: Story, *, lag_seconds: float = 0.0) -> None:
    """The second server hears of everything so much later than the first."""

    async def whole() -> None:
        with etcd(members) as cluster:
            others = cluster.endpoints[::-1]
            if lag_seconds:
                relay = await Relay.to(int(others[0].rpartition(":")[2]))
                others = [f"https://127.0.0.1:{relay.port}"]
            backends = [
                await EtcdBackend.open(urls, cluster.tls(), SystemClock())
                for urls in (cluster.endpoints, others)
            ]
            # At the same time, as masters of a new cluster do.
            begun = await asyncio.gather(
                *(
                    start(directory / f"s{n}", backend, node_ports=SMALL_PORTS)
                    for n, backend in enumerate(backends)
                )
            )
            if lag_seconds:
                relay.delay_seconds = lag_seconds
            try:
                async with asyncio.timeout(STORY_SECONDS_MAX):
                    await story((begun[0][0], begun[1][0]), cluster)
            finally:
                for _, listening in begun:
                    await listening.__aexit__()
                for backend in backends:
                    await backend.close()

    uvloop.run(whole())


def a_map(name: str, data: str = "v") -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {"k": data}}


def test_each_server_shows_what_the_other_wrote(tmp_path: Path) -> None:
    async def story(servers: Servers, cluster: EtcdCluster) -> None:
        one, other = (server.client() for server in servers)
        for n in range(10):
            path = f"{CONFIG_MAPS}/m{n}"
            status, made = await one("POST", CONFIG_MAPS, a_map(f"m{n}"))
            assert status == 201
            assert await other("GET", path) == (200, made)
            status, patched = await other("PATCH", path, {"data": {"k": "w"}}, headers=MERGE)
            assert status == 200
            status, listed = await one("GET", CONFIG_MAPS)
            shown = {o["metadata"]["name"]: o for o in listed["items"]}[f"m{n}"]
            assert shown["metadata"] == patched["metadata"]
            version = patched["metadata"]["resourceVersion"]
            status, got = await one("GET", f"{path}?resourceVersion={version}")
            assert (status, got) == (200, patched)
            status, _ = await one("DELETE", path)
            assert status == 200
            assert (await other("GET", path))[0] == 404
            assert (await other("DELETE", path))[0] == 404

    tell(tmp_path, 1, story, lag_seconds=LAG_SECONDS)


def test_a_new_namespace_and_a_new_right_count_everywhere_at_once(tmp_path: Path) -> None:
    async def story(servers: Servers, cluster: EtcdCluster) -> None:
        one, other = (server.client() for server in servers)
        nobody = servers[1].client("nobody")
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        for n in range(5):
            await one("POST", "/api/v1/namespaces", {"metadata": {"name": f"n{n}"}})
            path = f"/api/v1/namespaces/n{n}/configmaps"
            assert (await other("POST", path, a_map("a")))[0] == 201
            assert (await nobody("GET", path))[0] == 403
            binding = {
                "metadata": {"name": "b"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "view",
                },
                "subjects": [{"kind": "User", "name": "nobody"}],
            }
            status, _ = await one("POST", f"{rbac}/namespaces/n{n}/rolebindings", binding)
            assert status == 201
            assert (await nobody("GET", path))[0] == 200

    tell(tmp_path, 1, story, lag_seconds=LAG_SECONDS)


class Client:
    """Writes through one server or, when that fails, the other, as behind a balancer."""

    def __init__(self, name: str, apis: list[Api]) -> None:
        self.name = name
        self.apis = apis
        self.acknowledged: list[str] = []
        self.errors: list[float] = []
        self.done_at: list[float] = []
        self.stopping = False

    async def run(self) -> None:
        count = 0
        while not self.stopping:
            name = f"{self.name}-{count}"
            count += 1
            status, _ = await self.apis[count % 2]("POST", CONFIG_MAPS, a_map(name))
            if status == 201:
                self.acknowledged.append(name)
                self.done_at.append(time.monotonic())
                status, _ = await self.apis[(count + 1) % 2]("GET", f"{CONFIG_MAPS}/{name}")
            if status not in {200, 201}:
                self.errors.append(time.monotonic())


async def watched(api: Api, seen: list[tuple[str, str]]) -> None:
    stream = await api.http.stream("GET", f"{CONFIG_MAPS}?watch=1&resourceVersion=0")
    async for line in stream.lines():
        event = json.loads(line)
        seen.append((event["type"], event["object"]["metadata"]["name"]))


@pytest.mark.slow  # Its bound is on elections of three members: alone on the machine, by `make e2e`
@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGSTOP])
def test_a_killed_member_costs_no_write_and_no_event(way: int, tmp_path: Path) -> None:
    async def story(servers: Servers, cluster: EtcdCluster) -> None:
        apis = [server.client() for server in servers]
        seen: list[list[tuple[str, str]]] = [[], []]
        watches = [
            asyncio.create_task(watched(server.client(), found))
            for server, found in zip(servers, seen, strict=True)
        ]
        clients = [Client(f"c{n}", apis) for n in range(WRITERS)]
        runs = [asyncio.create_task(client.run()) for client in clients]
        await until(lambda: all(len(c.done_at) > 20 for c in clients))
        victim = random.Random(way).randrange(3)
        cluster.signal(victim, way)
        since = time.monotonic() + OUTAGE_SECONDS_MAX
        await until(lambda: all(c.done_at[-1] > since for c in clients))
        for client in clients:
            client.stopping = True
        await asyncio.gather(*runs)
        status, listed = await apis[0]("GET", CONFIG_MAPS)
        assert status == 200
        names = {o["metadata"]["name"] for o in listed["items"]}
        for client in clients:
            assert set(client.acknowledged) <= names
            assert not client.errors, "a balancer's client would have seen an error"
            pauses = zip(client.done_at, client.done_at[1:], strict=False)
            assert max(b - a for a, b in pauses) < OUTAGE_SECONDS_MAX
        await until(lambda: all(len(found) >= len(names) for found in seen))
        for found in seen:
            assert sorted(name for _, name in found) == sorted(names)
            assert {kind for kind, _ in found} == {"ADDED"}
        for watch in watches:
            watch.cancel()

    tell(tmp_path, 3, story)


SERVICES = "/api/v1/namespaces/default/services"


def a_service(name: str, kind: str = "ClusterIP", **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "protocol": "TCP"}]
    return {"metadata": {"name": name}, "spec": {"type": kind, "ports": ports} | spec}


def test_servers_give_no_address_or_port_twice(tmp_path: Path) -> None:
    """All node ports of a small range and the same addresses, asked of both servers at once."""

    async def story(servers: Servers, cluster: EtcdCluster) -> None:
        apis = [server.client() for server in servers]
        first, last = SMALL_PORTS
        count = last - first + 1
        made = await asyncio.gather(
            *(
                apis[n % 2]("POST", SERVICES, a_service(f"s{n}", "NodePort"))
                for n in range(count + 4)
            )
        )
        assert sorted(status for status, _ in made) == [201] * count + [500] * 4
        await check_services(apis, count)
        for round_ in range(10):
            address = f"10.96.1.{round_}"
            answers = await asyncio.gather(
                *(
                    api("POST", SERVICES, a_service(f"r{round_}-{n}", clusterIP=address))
                    for n, api in enumerate(apis * 2)
                )
            )
            assert sorted(status for status, _ in answers) == [201, 422, 422, 422]
            refused = next(body for status, body in answers if status == 422)
            assert "provided IP is already allocated" in refused["message"]
        await check_services(apis, count)

    tell(tmp_path, 1, story)


def test_an_address_is_free_again_at_once_everywhere(tmp_path: Path) -> None:
    async def story(servers: Servers, cluster: EtcdCluster) -> None:
        apis = [server.client() for server in servers]
        for round_ in range(20):
            one, other = apis if round_ % 2 else apis[::-1]
            service = a_service("dns", clusterIP="10.96.0.10")
            assert (await one("POST", SERVICES, service))[0] == 201
            assert (await other("DELETE", f"{SERVICES}/dns"))[0] == 200
        # Given by an update, too.
        plain = a_service("late", "ExternalName", externalName="x.example")
        assert (await apis[0]("POST", SERVICES, plain))[0] == 201
        patch = {"spec": {"type": "NodePort", "externalName": None}}
        status, late = await apis[1]("PATCH", f"{SERVICES}/late", patch, headers=MERGE)
        assert status == 200
        assert late["spec"]["clusterIP"].startswith("10.96.")
        assert late["spec"]["ports"][0]["nodePort"]

    tell(tmp_path, 1, story)


def test_a_claim_of_a_dead_server_ends(tmp_path: Path) -> None:
    async def story(servers: Servers, cluster: EtcdCluster) -> None:
        backend = servers[0].server.store.backend
        now = int(datetime.now(UTC).timestamp())
        claims = {"10.96.2.1": ["dead", now + 5], "10.96.2.2": ["dead", now - 1]}
        await backend.create(KEY, json.dumps({"claims": claims}).encode())
        api = servers[1].client()
        assert (await api("POST", SERVICES, a_service("free", clusterIP="10.96.2.2")))[0] == 201
        status, refused = await api("POST", SERVICES, a_service("held", clusterIP="10.96.2.1"))
        assert status == 422
        assert "provided IP is already allocated" in refused["message"]

        async def is_given() -> bool:
            service = a_service("held", clusterIP="10.96.2.1")
            return (await servers[0].client()("POST", SERVICES, service))[0] == 201

        await until(is_given)

    tell(tmp_path, 1, story)


def test_a_silent_store_is_told_as_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiphys.apiserver.freshness.CURRENT_SECONDS_MAX", 1.0)

    async def story(servers: Servers, cluster: EtcdCluster) -> None:
        api = servers[0].client()
        cluster.signal(0, signal.SIGSTOP)
        status, body = await api("GET", CONFIG_MAPS)
        assert status == 503
        assert body["details"]["retryAfterSeconds"] == 1
        # What may be old is answered.
        assert (await api("GET", f"{CONFIG_MAPS}?resourceVersion=0"))[0] == 200
        cluster.signal(0, signal.SIGCONT)

        async def answers() -> bool:
            return (await api("GET", CONFIG_MAPS))[0] == 200

        await until(answers)

    tell(tmp_path, 1, story)


async def check_services(apis: list[Api], node_ports: int) -> None:
    _, listed = await apis[0]("GET", SERVICES)
    specs = [o["spec"] for o in listed["items"]]
    addresses = [spec["clusterIP"] for spec in specs]
    assert len(addresses) == len(set(addresses))
    ports = [p["nodePort"] for spec in specs for p in spec["ports"] if p.get("nodePort")]
    assert len(ports) == len(set(ports)) == node_ports
