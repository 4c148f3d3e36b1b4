"""A real API server over TLS on a free port, with a store, keys and kubeconfigs of its own."""

import asyncio
import json
import os
import random
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from support.throwaway_pki import Authority, pem_of
from tiphys.apiserver.config import NODE_PORTS, ApiServerConfig
from tiphys.apiserver.filters.request_header import RequestHeaderConfig
from tiphys.apiserver.run import build, serving
from tiphys.apiserver.server import ApiServer
from tiphys.lib import tls
from tiphys.lib.clock import SystemClock
from tiphys.lib.http.client import HttpClient
from tiphys.storage.backend import Backend
from tiphys.storage.memory import MemoryBackend
from tiphys.storage.sqlite import SqliteBackend

ADMIN = "admin"
NOBODY = "nobody"


@dataclass
class RunningApiServer:
    """Where it is; `kubeconfig(user)` writes a file for kubectl."""

    directory: Path
    authority: Authority
    port: int
    server: ApiServer

    def kubeconfig(self, user: str = ADMIN) -> Path:
        path = self.directory / f"{user}.conf"
        cluster = {
            "server": f"https://127.0.0.1:{self.port}",
            "certificate-authority": str(self.authority.path),
        }
        credentials = {
            "client-certificate": str(self.directory / f"{user}.crt"),
            "client-key": str(self.directory / f"{user}.key"),
        }
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": credentials}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def environment(self, user: str = ADMIN) -> dict[str, str]:
        """For a kubectl that shares no cache with anybody."""
        return os.environ | {
            "KUBECONFIG": str(self.kubeconfig(user)),
            "KUBECACHEDIR": str(self.directory / "kube-cache"),
            "HOME": str(self.directory),
        }

    def client(self, user: str | None = ADMIN) -> "Api":
        files = (self.directory / f"{user}.crt", self.directory / f"{user}.key") if user else ()
        context = tls.client_context(self.authority.path, *files)
        return Api(HttpClient(f"https://127.0.0.1:{self.port}", tls=context))


class Api:
    """JSON requests; every answer is (status, document)."""

    def __init__(self, http: HttpClient) -> None:
        self.http = http

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        given = {"content-type": "application/json"} | dict(headers or {})
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
        answer = await self.http.request(method, path, headers=given, body=data)
        kind = answer.headers.get("content-type", "")
        return answer.status, json.loads(answer.body) if "json" in kind else answer.body


async def start(
    directory: Path,
    backend: Backend,
    port: int = 0,
    *,
    node_ports: tuple[int, int] = NODE_PORTS,
    encryption_config: Path | None = None,
    **more: Any,
) -> tuple[RunningApiServer, Any]:
    """Start a server; the second value ends it. more: fields of its configuration."""
    authority = Authority(directory)
    cert, key = authority.issue("server", server=True)
    authority.issue(ADMIN, common_name="kubernetes-admin", groups=("system:masters",))
    authority.issue(NOBODY, common_name=NOBODY)
    front_proxy = Authority(directory / "front-proxy", "front-proxy-ca")
    for name in ("allowed", "other"):
        front_proxy.issue(name)
    signing_key = directory / "sa.key"
    signing_key.write_bytes(pem_of(ec.generate_private_key(ec.SECP256R1())))
    config = ApiServerConfig(
        addresses=[("127.0.0.1", port)],
        store_path=directory / "store.db",
        tls_cert=cert,
        tls_key=key,
        client_ca=authority.path,
        requestheader_ca=front_proxy.path,
        requestheader=RequestHeaderConfig(allowed_names=("allowed",)),
        proxy_client_cert=front_proxy.directory / "allowed.crt",
        proxy_client_key=front_proxy.directory / "allowed.key",
        service_account_key=signing_key,
        service_cidr="10.96.0.0/16",
        node_ports=node_ports,
        encryption_config=encryption_config,
        **more,
    )
    server = await build(config, backend, SystemClock(), random.Random(1))
    listening = serving(config, server)
    await listening.__aenter__()
    running = RunningApiServer(directory, authority, listening.ports[0], server)
    return running, listening


@contextmanager
def api_server_in_thread(directory: Path) -> Iterator[RunningApiServer]:
    """For tests that run real clients: the server has a thread and a durable store of its own."""
    ready = threading.Event()
    found: list[RunningApiServer] = []
    ending: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def life() -> None:
        backend = await SqliteBackend.open(directory / "store.db", SystemClock())
        running, listening = await start(directory, backend)
        end = asyncio.Event()
        ending.append((asyncio.get_running_loop(), end))
        found.append(running)
        ready.set()
        await end.wait()
        await listening.__aexit__()
        await backend.close()

    thread = threading.Thread(target=lambda: uvloop.run(life()), daemon=True)
    thread.start()
    assert ready.wait(20), "the API server did not start"
    try:
        yield found[0]
    finally:
        loop, end = ending[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(20)


Story = Callable[["Api", RunningApiServer], Awaitable[None]]
STORY_SECONDS_MAX = 30


def run_story(directory: Path, story: Story) -> None:
    """A story with a server of its own, in memory, as its administrator."""

    async def whole() -> None:
        running, listening = await start(directory, memory_backend())
        try:
            async with asyncio.timeout(STORY_SECONDS_MAX):
                await story(running.client(), running)
        finally:
            await listening.__aexit__()

    uvloop.run(whole())


def memory_backend() -> MemoryBackend:
    return MemoryBackend(SystemClock())
