"""An API group that another server serves, whose part an HTTP server of the test plays."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import uvloop

from support.api_server import NOBODY, Api, RunningApiServer, memory_backend, start
from support.throwaway_pki import Authority
from tiphys.lib import tls
from tiphys.lib.http.flow import BodyWriter, RawStream
from tiphys.lib.http.message import Answer, Request, Response, StreamResponse, UpgradeResponse
from tiphys.lib.http.server import HttpServer

NAME = "v1.acme.io"
SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
AGGREGATED = {"accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
RESOURCES = {
    "kind": "APIResourceList",
    "groupVersion": "acme.io/v1",
    "resources": [{"name": "foos", "kind": "Foo", "namespaced": True, "verbs": ["get", "list"]}],
}


class Acme:
    """Notes who asks for what; says it back, watches and shouts."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.status = 200

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        if request.raw_path == "/apis/acme.io/v1":
            return Response(self.status, orjson.dumps(RESOURCES))
        if request.raw_path == "/openapi/v3":
            return Response(200, b'{"paths":{"apis/acme.io/v1":{"serverRelativeURL":"/x"}}}')
        self.seen.append({"method": request.method, "target": request.target, **request.headers})
        if request.wants_upgrade:
            headers = (("Upgrade", request.headers["upgrade"]), ("Connection", "Upgrade"))
            return UpgradeResponse(self._shout, headers)
        if "watch=1" in request.query:
            return StreamResponse(200, self._watch, (("Content-Type", "application/json"),))
        return Response(201, request.body or b"{}", (("Content-Type", "application/json"),))

    async def _watch(self, body: BodyWriter) -> None:
        for number in range(3):
            body.write(b'{"type":"ADDED","object":%d}\n' % number)
            await body.pause()

    async def _shout(self, stream: RawStream) -> None:
        while data := await stream.read():
            stream.write(data.upper())


@dataclass
class Lab:
    """An API server with its administrator's client, and the other server behind a Service."""

    running: RunningApiServer
    api: Api
    other: Acme
    port: int

    def api_service(self, authority: Authority | None = None, **spec: Any) -> dict[str, Any]:
        trusted = authority or self.running.authority
        return {
            "metadata": {"name": NAME},
            "spec": {
                "group": "acme.io",
                "version": "v1",
                "groupPriorityMinimum": 10,
                "versionPriority": 10,
                "service": {"namespace": "default", "name": "acme", "port": self.port},
                "caBundle": base64.b64encode(trusted.path.read_bytes()).decode(),
            }
            | spec,
        }

    async def register(self, made: dict[str, Any]) -> None:
        assert (await self.api("POST", SERVICES, made))[0] == 201

    async def condition(self, status: str) -> dict[str, Any]:
        """The condition Available, when it has this status."""
        while True:
            _, found = await self.api("GET", f"{SERVICES}/{NAME}")
            for one in found["status"].get("conditions", []):
                if one["status"] == status:
                    return dict(one)
            await asyncio.sleep(0.02)

    async def is_up(self) -> None:
        await self.register(self.api_service())
        await self.condition("True")


@asynccontextmanager
async def lab(directory: Path) -> AsyncIterator[Lab]:
    running, listening = await start(directory, memory_backend())
    cert, key = running.authority.issue("acme", server=True, host_names=("acme.default.svc",))
    other = Acme()
    context = tls.server_context(cert, key, [directory / "front-proxy" / "front-proxy-ca.crt"])
    server = HttpServer(other.handle, tls=context)
    port = await server.listen("127.0.0.1", 0)
    found = Lab(running, running.client(), other, port)
    # Endpoints may not be on the loopback; a name may lead there.
    spec = {"type": "ExternalName", "externalName": "localhost"}
    service = {"metadata": {"name": "acme"}, "spec": spec}
    assert (await found.api("POST", "/api/v1/namespaces/default/services", service))[0] == 201
    try:
        async with asyncio.timeout(20):
            yield found
    finally:
        await server.stop()
        await listening.__aexit__()


def in_lab(directory: Path, story: Callable[[Lab], Coroutine[Any, Any, None]]) -> None:
    async def told() -> None:
        async with lab(directory) as found:
            await story(found)

    uvloop.run(told())


def test_requests_reach_it_with_the_users_name(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.is_up()
        spoofed = {"X-Remote-User": "root", "X-Remote-Extra-A": "b"}
        path = "/apis/acme.io/v1/namespaces/default/foos?a=1"
        assert await lab.api("POST", path, {"x": 1}, spoofed) == (201, {"x": 1})
        [seen] = lab.other.seen
        assert (seen["method"], seen["target"]) == ("POST", path)
        assert seen["x-remote-user"] == "kubernetes-admin"
        assert seen["x-remote-group"] == "system:masters, system:authenticated"
        assert "x-remote-extra-a" not in seen
        status, _ = await lab.running.client(NOBODY)("GET", path)
        assert (status, len(lab.other.seen)) == (403, 1)

    in_lab(tmp_path, story)


def test_watches_are_passed_on(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.is_up()
        stream = await lab.api.http.stream("GET", "/apis/acme.io/v1/foos?watch=1")
        lines = [line async for line in stream.lines()]
        assert [orjson.loads(line)["object"] for line in lines] == [0, 1, 2]

    in_lab(tmp_path, story)


def test_upgrades_are_passed_on(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.is_up()
        context = tls.client_context(
            lab.running.authority.path, tmp_path / "admin.crt", tmp_path / "admin.key"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.running.port, ssl=context)
        writer.write(
            b"GET /apis/acme.io/v1/foos/shout HTTP/1.1\r\nHost: x\r\n"
            b"Connection: Upgrade\r\nUpgrade: shouting\r\n\r\n"
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101")
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        writer.close()

    in_lab(tmp_path, story)


async def groups(api: Api) -> list[bool]:
    """Whether the old and the aggregated discovery show the group."""
    _, old = await api("GET", "/apis")
    _, new = await api("GET", "/apis", headers=AGGREGATED)
    names = [g["name"] for g in old["groups"]], [i["metadata"]["name"] for i in new["items"]]
    return ["acme.io" in found for found in names]


def test_discovery_shows_it_while_it_is_available(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        api = lab.api
        assert await groups(api) == [False, False]
        await lab.is_up()
        assert await groups(api) == [True, True]
        assert (await api("GET", "/apis/acme.io"))[1]["preferredVersion"]["version"] == "v1"
        answer = await api.http.request("GET", "/apis/acme.io/v1")
        assert orjson.loads(answer.body) == RESOURCES
        _, new = await api("GET", "/apis", headers=AGGREGATED)
        [item] = [i for i in new["items"] if i["metadata"]["name"] == "acme.io"]
        assert [r["resource"] for r in item["versions"][0]["resources"]] == ["foos"]
        lab.other.status = 500
        lab.running.server.availability.wake()
        found = await lab.condition("False")
        assert found["reason"] == "FailedDiscoveryCheck"
        assert await groups(api) == [False, False]
        assert await api("GET", "/apis/acme.io/v1/foos") == (503, b"service unavailable\n")
        await api("DELETE", f"{SERVICES}/{NAME}")
        assert (await api("GET", "/apis/acme.io/v1/foos"))[0] == 404

    in_lab(tmp_path, story)


def test_an_unknown_service_makes_it_unavailable(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        elsewhere = {"namespace": "default", "name": "nobody"}
        await lab.register(lab.api_service(service=elsewhere))
        found = await lab.condition("False")
        assert (found["reason"], found["message"]) == (
            "ServiceNotFound",
            'service/nobody in "default" is not present',
        )

    in_lab(tmp_path, story)


def test_a_server_of_another_authority_is_not_believed(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.register(lab.api_service(Authority(tmp_path / "stranger")))
        found = await lab.condition("False")
        assert found["reason"] == "FailedDiscoveryCheck"
        assert "certificate verify failed" in found["message"]
        assert lab.other.seen == []

    in_lab(tmp_path, story)


def test_our_own_groups_are_listed_as_local(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        _, found = await lab.api("GET", f"{SERVICES}/v1.apps")
        labels = {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
        assert found["metadata"]["labels"] == labels
        [condition] = found["status"]["conditions"]
        assert (condition["status"], condition["reason"]) == ("True", "Local")

    in_lab(tmp_path, story)


def test_other_servers_are_told_whom_to_believe(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
        _, found = await lab.api("GET", path)
        data = found["data"]
        assert data["client-ca-file"] == lab.running.authority.path.read_text()
        front_proxy = tmp_path / "front-proxy" / "front-proxy-ca.crt"
        assert data["requestheader-client-ca-file"] == front_proxy.read_text()
        assert orjson.loads(data["requestheader-allowed-names"]) == ["allowed"]
        assert orjson.loads(data["requestheader-username-headers"]) == ["X-Remote-User"]

    in_lab(tmp_path, story)


def test_its_openapi_is_ours(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.is_up()
        _, index = await lab.api("GET", "/openapi/v3")
        url = index["paths"]["apis/acme.io/v1"]["serverRelativeURL"]
        assert "apis/apps/v1" in index["paths"]
        assert (await lab.api("GET", url))[0] == 201
        assert lab.other.seen[-1]["target"] == "/openapi/v3/apis/acme.io/v1"

    in_lab(tmp_path, story)
