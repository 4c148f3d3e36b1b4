"""Logs, exec and proxy reach the kubelet of a pod's node, whose part an HTTP server plays."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from support.api_server import Api, RunningApiServer, memory_backend, start
from tiphys.apiserver import tunnel
from tiphys.lib import tls
from tiphys.lib.http.flow import BodyWriter, RawStream
from tiphys.lib.http.message import (
    Answer,
    Request,
    StreamResponse,
    UpgradeResponse,
    text_response,
)
from tiphys.lib.http.server import HttpServer

POD = "/api/v1/namespaces/default/pods/p"


class Kubelet:
    """Notes what it is asked; logs in pieces, echoes in upper case after an upgrade."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        self.asked.append(request.target)
        if request.raw_path.startswith("/containerLogs"):
            return StreamResponse(200, self._log, (("Content-Type", "text/plain"),))
        if request.wants_upgrade:
            protocol = request.headers["upgrade"]
            headers = (("Upgrade", protocol), ("Connection", "Upgrade"))
            return UpgradeResponse(self._shout, headers)
        return text_response(200, f"{request.method} {request.headers.get('x-mark', '')}")

    async def _log(self, body: BodyWriter) -> None:
        for number in range(3):
            body.write(f"line {number}\n".encode())
            await body.pause()

    async def _shout(self, stream: RawStream) -> None:
        while data := await stream.read():
            stream.write(data.upper())


async def with_node(running: RunningApiServer, api: Api, port: int) -> None:
    """A node whose kubelet listens on a port, and a pod bound to it."""
    await api("POST", "/api/v1/nodes", {"metadata": {"name": "n"}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    merge = {"content-type": "application/merge-patch+json"}
    await api("PATCH", "/api/v1/nodes/n/status", {"status": status}, merge)
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await api("POST", accounts, {"metadata": {"name": "default"}})
    containers = [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]
    spec = {"nodeName": "n", "containers": containers}
    await api("POST", POD.rpartition("/")[0], {"metadata": {"name": "p"}, "spec": spec})


def test_logs_exec_and_proxy(tmp_path: Path) -> None:
    async def story() -> None:
        running, listening = await start(tmp_path, memory_backend())
        cert, key = running.authority.issue("kubelet", server=True)
        client = running.authority.issue("apiserver-kubelet-client")
        config = replace(
            running.server.config,
            kubelet_ca=running.authority.path,
            kubelet_client_cert=client[0],
            kubelet_client_key=client[1],
        )
        running.server.config = config
        kubelet = Kubelet()
        context = tls.server_context(cert, key, [running.authority.path])
        server = HttpServer(kubelet.handle, tls=context)
        api = running.client()
        await with_node(running, api, await server.listen("127.0.0.1", 0))
        async with asyncio.timeout(20):
            await logs(api)
            await exec_(running)
            await proxy(api)
        assert kubelet.asked == [
            "/containerLogs/default/p/c?follow=true&tailLines=3",
            "/exec/default/p/d?input=1&output=1&command=ls&command=-l",
            "/some/path?x=1",
        ]
        await server.stop()
        await listening.__aexit__()

    uvloop.run(story())


def test_a_backend_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection and the request, and says nothing."""
    monkeypatch.setattr(tunnel, "UPGRADE_SECONDS_MAX", 0.2)
    monkeypatch.setattr(tunnel, "ANSWER_SECONDS_MAX", 0.3)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def story() -> None:
        running, listening = await start(tmp_path, memory_backend())
        cert, key = running.authority.issue("kubelet", server=True)
        running.server.config = replace(running.server.config, kubelet_ca=running.authority.path)
        context = tls.server_context(cert, key, [])
        server = await asyncio.start_server(silent, "127.0.0.1", 0, ssl=context)
        api = running.client()
        await with_node(running, api, server.sockets[0].getsockname()[1])
        upgrade = {"connection": "Upgrade", "upgrade": "SPDY/3.1"}
        async with asyncio.timeout(20):
            status, said = await api("GET", f"{POD}/log?container=c")
            assert (status, said["message"][-22:]) == (500, "no answer within 0.3 s")
            status, said = await api("POST", f"{POD}/exec?container=c&command=x", None, upgrade)
            assert (status, said["message"][-22:]) == (500, "no answer within 0.2 s")
        server.close()
        await listening.__aexit__()

    uvloop.run(story())


async def logs(api: Api) -> None:
    status, refused = await api("GET", f"{POD}/log")
    assert status == 400
    assert refused["message"].endswith("choose one of: [c d]")
    status, text = await api("GET", f"{POD}/log?container=c&follow=true&tailLines=3")
    assert (status, text) == (200, b"line 0\nline 1\nline 2\n")


async def exec_(running: RunningApiServer) -> None:
    files = (running.directory / "admin.crt", running.directory / "admin.key")
    context = tls.client_context(running.authority.path, *files)
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port, ssl=context)
    query = "container=d&command=ls&command=-l&stdin=true&stdout=true"
    writer.write(
        f"POST {POD}/exec?{query} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
        "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nearly ".encode()
    )
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert head.startswith("HTTP/1.1 101 ")
    assert "Upgrade: SPDY/3.1" in head
    writer.write(b"late")
    assert await reader.readexactly(10) == b"EARLY LATE"
    writer.close()


async def proxy(api: Api) -> None:
    path = "/api/v1/nodes/n/proxy/some/path?x=1"
    status, text = await api("PUT", path, b"data", {"x-mark": "m"})
    assert (status, text) == (200, b"PUT m")
