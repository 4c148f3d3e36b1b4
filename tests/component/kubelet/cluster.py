"""An API server and a kubelet in this process, on a real runtime in its own."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.throwaway_pki import Authority
from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import GroupVersionResource, Obj
from tiphys.apiserver import run as apiserver
from tiphys.apiserver.config import ApiServerConfig
from tiphys.client import kubeconfig
from tiphys.client.rest import Client
from tiphys.kubelet import run as kubelet
from tiphys.kubelet.config import KubeletConfig
from tiphys.kubelet.resources import PODS, SERVICE_ACCOUNTS
from tiphys.lib.clock import SystemClock
from tiphys.lib.http.client import HttpClient
from tiphys.lib.tls import client_context

NAMESPACE = "default"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SmallCluster:
    def __init__(self, directory: Path, runtime_socket: str, cgroup_root: str) -> None:
        self.directory = directory
        self._runtime_socket = runtime_socket
        self._cgroup_root = cgroup_root
        self._pki = Authority(directory / "pki")
        self._tasks: list[asyncio.Task[None]] = []
        self._kubelet: asyncio.Task[None] | None = None
        self.client: Client
        self.config: KubeletConfig

    async def start(self) -> None:
        port = free_port()
        server_cert, server_key = self._pki.issue("server", server=True)
        admin_cert, admin_key = self._pki.issue("admin", groups=("system:masters",))
        account_key = self._pki.issue("sa")[1]
        config = ApiServerConfig(
            addresses=[("127.0.0.1", port)],
            store_path=self.directory / "store" / "state.db",
            tls_cert=server_cert,
            tls_key=server_key,
            client_ca=self._pki.path,
            service_account_key=account_key,
            advertise_port=port,
        )
        self._start(apiserver.run(config))
        path = self.directory / "kubeconfig"
        path.write_bytes(
            kubeconfig.document(
                "test",
                {
                    "server": f"https://127.0.0.1:{port}",
                    "certificate-authority": str(self._pki.path),
                },
                {"client-certificate": str(admin_cert), "client-key": str(admin_key)},
            )
        )
        self.client = Client.from_kubeconfig(path)
        await self.until(self._answers, "the API server answers")
        account = {"metadata": {"name": "default", "namespace": NAMESPACE}}
        await self.client.create(SERVICE_ACCOUNTS, account)
        self.config = KubeletConfig(
            kubeconfig=path,
            node_name="n",
            node_ip="127.0.0.1",
            runtime_socket=self._runtime_socket,
            root_dir=self.directory / "kubelet",
            pod_logs_dir=self.directory / "logs",
            tls_cert_file=server_cert,
            tls_key_file=server_key,
            client_ca_file=self._pki.path,
            port=free_port(),
            cgroup_root=self._cgroup_root,
        )
        tls = client_context(self._pki.path, admin_cert, admin_key)
        self.http = HttpClient(f"https://127.0.0.1:{self.config.port}", tls=tls)
        self.start_kubelet()

    def _start(self, work: Any) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    def start_kubelet(self) -> None:
        work = kubelet.Kubelet(self.config, SystemClock()).run()
        self._kubelet = asyncio.get_running_loop().create_task(work)

    async def stop_kubelet(self) -> None:
        assert self._kubelet is not None
        self._kubelet.cancel()
        await asyncio.gather(self._kubelet, return_exceptions=True)

    async def close(self) -> None:
        pods = await self.client.list(PODS)
        for pod in pods["items"]:
            with contextlib.suppress(NotFound):
                await self.client.delete(
                    PODS, pod["metadata"]["name"], NAMESPACE, grace_period_seconds=1
                )
        await self.until(self._is_empty, "all pods are gone")
        await self.stop_kubelet()
        self.http.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.client.close()

    async def _is_empty(self) -> bool:
        return not (await self.client.list(PODS))["items"]

    async def _answers(self) -> bool:
        try:
            await self.client.raw("GET", "/readyz")
        except ApiError as exc:
            return exc.code != 503
        return True

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
        try:
            async with asyncio.timeout(seconds):
                while not (found := await condition()):  # noqa: ASYNC110 - it asks a server
                    await asyncio.sleep(0.02)
                return found
        except TimeoutError:
            raise AssertionError(f"not within {seconds} s: {what}") from None

    async def create(self, gvr: GroupVersionResource, name: str, **fields: Any) -> Obj:
        metadata = {"name": name, "namespace": NAMESPACE}
        return await self.client.create(gvr, {"metadata": metadata, **fields})

    async def pod(self, name: str, command: str, **spec: Any) -> Obj:
        """A pod of one container that runs a shell command, bound to our node."""
        container = {
            "name": "c",
            "image": "busybox",
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", command],
            **spec.pop("container", {}),
        }
        spec = {
            "nodeName": "n",
            "hostNetwork": True,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            **spec,
        }
        return await self.create(PODS, name, spec=spec)

    async def get(self, name: str) -> Obj:
        return await self.client.get(PODS, name, NAMESPACE)

    async def when(self, name: str, condition: Callable[[Obj], Any], what: str) -> Obj:
        """The pod once its status fulfils the condition."""
        last: Obj = {}

        async def check() -> Obj | None:
            nonlocal last
            last = await self.get(name)
            return last if condition(last.get("status") or {}) else None

        try:
            found: Obj = await self.until(check, what)
        except AssertionError as exc:
            raise AssertionError(f"{exc}: {last.get('status')}") from None
        return found

    async def phase(self, name: str, phase: str) -> Obj:
        return await self.when(name, lambda s: s.get("phase") == phase, f"{name} is {phase}")

    async def log(self, name: str, query: str = "") -> str:
        answer = await self.http.request("GET", f"/containerLogs/{NAMESPACE}/{name}/c?{query}")
        return answer.body.decode()

    async def events(self, name: str) -> list[tuple[str, str]]:
        found = await self.client.request("GET", f"/api/v1/namespaces/{NAMESPACE}/events")
        return [
            (e["reason"], e["message"])
            for e in found["items"]
            if e["involvedObject"]["name"] == name
        ]
