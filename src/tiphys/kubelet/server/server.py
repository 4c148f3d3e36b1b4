"""Routes of the kubelet's server. Upstream: pkg/kubelet/server/server.go."""

import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson

from tiphys.api import names
from tiphys.api.meta import Obj, at, uid_of
from tiphys.client.delegated_access import Gate
from tiphys.cri.errors import CriError
from tiphys.kubelet.deps import Deps
from tiphys.kubelet.grpc_text import error_text
from tiphys.kubelet.pod_spec import find_container
from tiphys.kubelet.pods import Pods
from tiphys.kubelet.runtime_state import RuntimeContainer
from tiphys.kubelet.sandbox_config import pod_log_directory
from tiphys.kubelet.server import cadvisor_metrics, metrics, resource_metrics
from tiphys.kubelet.server.authorization import node_attributes
from tiphys.kubelet.server.container_logs import LogReader, OptionsError, options_of
from tiphys.kubelet.server.stats import Summary
from tiphys.kubelet.server.streams import attach_request, exec_request, open_stream
from tiphys.kubelet.usage.machine_usage import read_machine_usage
from tiphys.kubelet.usage.pod_usage import PodUsageReader
from tiphys.kubelet.usage.rates import Rates
from tiphys.lib import prometheus_text
from tiphys.lib.http.message import (
    Answer,
    Request,
    Response,
    StreamResponse,
    text_response,
)
from tiphys.lib.http.server import HttpServer
from tiphys.lib.metrics import process_families
from tiphys.lib.tls import server_context

log = logging.getLogger(__name__)

JSON: Final = (("Content-Type", "application/json"),)
TEXT: Final = (("Content-Type", "text/plain; charset=utf-8"),)
METRICS: Final = (("Content-Type", prometheus_text.CONTENT_TYPE),)
LOG: Final = (("Content-Type", "text/plain"),)
RUN_SECONDS_MAX: Final = 3600.0
_Params = dict[str, list[str]]


class KubeletServer:
    def __init__(self, deps: Deps, pods: Pods, usage: PodUsageReader) -> None:
        config = deps.config
        self._deps = deps
        self._pods = pods
        self._usage = usage
        self._summary = Summary(deps, Rates())
        self._gate = Gate(
            deps.client,
            deps.clock,
            config.client_ca_file,
            node_attributes(config.node_name),
        )
        self._tls = self._context()
        self._http = HttpServer(self._answer, tls=self._tls)
        self._routes: dict[str, Callable[[Request, list[str], _Params], Awaitable[Answer]]] = {
            "pods": self._list_pods,
            "runningpods": self._list_pods,
            "containerLogs": self._logs,
            "exec": self._exec,
            "attach": self._attach,
            "portForward": self._port_forward,
            "run": self._run,
            "metrics": self._metrics,
            "stats": self._stats,
            "configz": self._configz,
        }

    def _context(self) -> ssl.SSLContext:
        """Without a certificate as long as the cluster has given none: handshakes fail."""
        config = self._deps.config
        there = config.certificate_directory is None or config.tls_cert_file.exists()
        cert_file = config.tls_cert_file if there else None
        return server_context(cert_file, config.tls_key_file, [config.client_ca_file])

    def use_certificate(self) -> None:
        """Show the certificate that is in the file now, from the next connection on."""
        self._tls.load_cert_chain(self._deps.config.tls_cert_file, self._deps.config.tls_key_file)

    async def start(self) -> None:
        """Raises OSError when the address is taken."""
        config = self._deps.config
        await self._http.listen(config.listen_address or config.node_ip, config.port)

    async def stop(self) -> None:
        await self._http.stop()

    def _answer(self, request: Request) -> Answer | Awaitable[Answer]:
        return self._guarded(request)

    async def _guarded(self, request: Request) -> Answer:
        user = await self._gate.user_of(request)
        if user is None:
            return text_response(401, "Unauthorized")
        if not await self._gate.allows(user, request.method, request.path):
            return text_response(
                403,
                f"Forbidden (user={user.name}, verb={request.method.lower()}, "
                f"resource=nodes, subresource(s)=[proxy])",
            )
        _, _, path = request.path.partition("/")
        first, _, rest = path.partition("/")
        if first in ("healthz", "livez"):
            return text_response(200, "ok")
        handler = self._routes.get(first)
        if handler is None:
            return text_response(404, "404 page not found")
        try:
            params = request.params()
        except ValueError as exc:
            return text_response(400, str(exc))
        try:
            return await handler(request, [p for p in rest.split("/") if p], params)
        except CriError as exc:
            return text_response(500, error_text(exc))

    async def _list_pods(self, request: Request, path: list[str], params: _Params) -> Answer:
        items = [
            {"metadata": p["metadata"], "spec": p["spec"], "status": p.get("status", {})}
            for p in self._pods.items()
        ]
        body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
        return Response(200, orjson.dumps(body), JSON)

    # --- logs

    async def _logs(self, request: Request, path: list[str], params: _Params) -> Answer:
        if len(path) != 3:
            return text_response(400, "Missing podNamespace, podID or containerName.")
        namespace, pod_name, name = path
        try:
            options = options_of(params, self._deps.clock)
        except OptionsError:
            return Response(422, b'{"message": "Invalid request."}', JSON)
        pod = self._pods.find(namespace, pod_name)
        if pod is None:
            return text_response(404, f'pod "{pod_name}" does not exist')
        if find_container(pod, name) is None:
            return text_response(404, f'container "{name}" not found in pod "{pod_name}"')
        previous = params.get("previous", ["false"])[0] in ("true", "1")
        container = self._instance(pod, name, previous=previous)
        if isinstance(container, str):
            return text_response(400, container)
        folder = pod_log_directory(self._deps.config.pod_logs_dir, pod) / name
        file = folder / f"{container.restart_count}.log"
        if not file.exists():
            return Response(200, b"", LOG)
        uid, container_id = uid_of(pod), container.id

        def is_running() -> bool:
            found = self._deps.cache.get(uid).containers
            return any(c.id == container_id and c.state == "running" for c in found)

        return StreamResponse(200, LogReader(file, options, is_running).write_to, LOG)

    def _instance(self, pod: Obj, name: str, *, previous: bool) -> RuntimeContainer | str:
        """The container whose log is asked for, or why there is none.

        Upstream: kubelet_pods.go validateContainerLogStatus.
        """
        found = self._deps.cache.get(uid_of(pod)).instances(name)
        pod_name = pod["metadata"]["name"]
        status = self._status(pod, name)
        if previous:
            ended = at(status, "lastState", "terminated", "containerID")
            if not ended or len(found) < 2:
                return f'previous terminated container "{name}" in pod "{pod_name}" not found'
            return found[1]
        waiting = at(status, "state", "waiting")
        if found and (not waiting or at(status, "lastState", "terminated")):
            return found[0]
        reason = at(waiting, "reason", default="")
        if reason in ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"):
            text = {
                "ErrImagePull": "image can't be pulled",
                "ImagePullBackOff": "trying and failing to pull image",
            }.get(reason, reason)
            return f'container "{name}" in pod "{pod_name}" is waiting to start: {text}'
        if waiting is not None:
            return f'container "{name}" in pod "{pod_name}" is waiting to start: {reason}'
        if found:
            return found[0]
        return f'container "{name}" in pod "{pod_name}" is not available'

    def _status(self, pod: Obj, name: str) -> Obj:
        status = self._deps.statuses.status(uid_of(pod)) or at(pod, "status", default={})
        lists = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
        for entry in (s for key in lists for s in status.get(key) or []):
            if entry["name"] == name:
                found: Obj = entry
                return found
        return {}

    # --- streams

    def _running(self, path: list[str]) -> RuntimeContainer | Response:
        """The container of `namespace/pod/container` or `namespace/pod/uid/container`."""
        if len(path) not in (3, 4):
            return text_response(404, "404 page not found")
        pod = self._pods.find(path[0], path[1])
        if pod is None or (len(path) == 4 and uid_of(pod) != path[2]):
            return text_response(404, "pod does not exist")
        newest = self._deps.cache.get(uid_of(pod)).newest(path[-1])
        if newest is None:
            return text_response(500, f'container not found ("{path[-1]}")')
        return newest

    async def _exec(self, request: Request, path: list[str], params: _Params) -> Answer:
        found = self._running(path)
        if isinstance(found, Response):
            return found
        if not request.wants_upgrade:
            return text_response(400, "Upgrade request required")
        return await open_stream(self._deps.cri, "Exec", exec_request(found.id, params), request)

    async def _attach(self, request: Request, path: list[str], params: _Params) -> Answer:
        found = self._running(path)
        if isinstance(found, Response):
            return found
        if not request.wants_upgrade:
            return text_response(400, "Upgrade request required")
        call = attach_request(found.id, params)
        return await open_stream(self._deps.cri, "Attach", call, request)

    async def _port_forward(self, request: Request, path: list[str], params: _Params) -> Answer:
        if len(path) not in (2, 3):
            return text_response(404, "404 page not found")
        pod = self._pods.find(path[0], path[1])
        if pod is None or (len(path) == 3 and uid_of(pod) != path[2]):
            return text_response(404, "pod does not exist")
        sandbox = self._deps.cache.get(uid_of(pod)).ready_sandbox
        if not request.wants_upgrade:
            return text_response(400, "Upgrade request required")
        if sandbox is None:
            return text_response(500, "pod is not running")
        ports = [
            number
            for v in [*params.get("port", []), *params.get("ports", [])]
            for p in v.split(",")
            if (number := names.port_of(p)) is not None
        ]
        call: dict[str, Any] = {"pod_sandbox_id": sandbox.id, "port": ports}
        return await open_stream(self._deps.cri, "PortForward", call, request)

    async def _run(self, request: Request, path: list[str], params: _Params) -> Answer:
        found = self._running(path)
        if isinstance(found, Response):
            return found
        command = params.get("cmd", [""])[0].split(" ")
        call = {"container_id": found.id, "cmd": command, "timeout": 0}
        answer = await self._deps.cri.call("ExecSync", call, RUN_SECONDS_MAX)
        output = answer.get("stdout", b"") + answer.get("stderr", b"")
        if code := answer.get("exit_code", 0):
            return text_response(500, f"command '{' '.join(command)}' exited with {code}")
        return Response(200, output, TEXT)

    # --- numbers

    async def _metrics(self, request: Request, path: list[str], params: _Params) -> Answer:
        now_ms = int(self._deps.clock.now().timestamp() * 1000)
        match path:
            case []:
                found = metrics.families(self._deps, self._pods)
            case ["resource"]:
                used = self._usage.read(self._pods.items(), brief=True)
                found = resource_metrics.families(read_machine_usage(), used, now_ms)
            case ["cadvisor"]:
                used, root = self._usage.read(self._pods.items()), read_machine_usage()
                found = cadvisor_metrics.families(self._deps.machine, root, used, now_ms)
            case ["probes"]:
                found = [*self._deps.prober.metrics.families(), *process_families()]
            case _:
                return text_response(404, "404 page not found")
        return Response(200, prometheus_text.render(found), METRICS)

    async def _stats(self, request: Request, path: list[str], params: _Params) -> Answer:
        if path != ["summary"]:
            return text_response(404, "404 page not found")
        body = await self._summary.read(self._usage.read(self._pods.items()))
        return Response(200, orjson.dumps(body), JSON)

    async def _configz(self, request: Request, path: list[str], params: _Params) -> Answer:
        config = self._deps.config
        shown = {
            "kubeletconfig": {
                "address": config.listen_address or config.node_ip,
                "port": config.port,
                "clusterDomain": config.cluster_domain,
                "clusterDNS": list(config.cluster_dns),
                "maxPods": config.max_pods,
                "cgroupDriver": "cgroupfs",
                "containerRuntimeEndpoint": config.runtime_socket,
            }
        }
        return Response(200, orjson.dumps(shown), JSON)
