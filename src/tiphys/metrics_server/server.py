"""Routes of the metrics server. Only the API server's proxy may ask: it has authorized the user.

Upstream: metrics-server pkg/server; apiserver pkg/authentication/request/headerrequest.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import unquote

import orjson

from tiphys.api.errors import ApiError, Forbidden, MethodNotAllowed, NotFound, Unauthorized
from tiphys.api.meta import Obj
from tiphys.client.delegated_access import Gate
from tiphys.client.metrics_page import MetricsPage, refusal
from tiphys.lib.clock import Clock
from tiphys.lib.http.message import Answer, Request, Response, text_response
from tiphys.lib.tls import LeafVerifier, common_name
from tiphys.metrics_server import discovery, history_api, objects, openapi, targets
from tiphys.metrics_server.history_api import HistoryApi
from tiphys.metrics_server.metrics_api import MetricsApi, Params
from tiphys.metrics_server.objects import API_VERSION

JSON: Final = (("Content-Type", "application/json"),)
_NO_RESOURCE: Final = "the server could not find the requested resource"


class FrontProxy:
    """Whether a request comes through the API server, and so from somebody it has let through."""

    def __init__(
        self, verifier: LeafVerifier, allowed_names: tuple[str, ...], clock: Clock
    ) -> None:
        self._verifier = verifier
        self._allowed_names = allowed_names
        self._clock = clock

    def check(self, request: Request) -> None:
        """Raises Unauthorized, Forbidden."""
        leaf = request.peer_certificate
        found = self._verifier.verify(leaf, self._clock.now()) if leaf is not None else None
        if found is None or not request.headers.get("x-remote-user"):
            raise Unauthorized()
        if self._allowed_names and common_name(found) not in self._allowed_names:
            raise Forbidden(f"{common_name(found)} is no proxy of this cluster")


class MetricsServer:
    """`answer` is the handler of an HttpServer."""

    def __init__(
        self,
        proxy: FrontProxy,
        metrics: MetricsApi,
        history: HistoryApi,
        gate: Gate,
        page: MetricsPage,
        nodes: Callable[[], list[Obj]],
    ) -> None:
        self._history = history
        self._gate = gate
        self._page = page
        self._nodes = nodes
        self._proxy = proxy
        self._metrics = metrics
        self._documents: dict[str, Callable[[], Obj]] = {
            "/apis": lambda: discovery.group_list([discovery.group(), _history_group()]),
            f"/apis/{discovery.GROUP}": discovery.group,
            f"/apis/{history_api.GROUP}": _history_group,
            history_api.PATH: history_api.resource_list,
            discovery.METRICS_PATH: discovery.resource_list,
            openapi.INDEX: openapi.index,
            openapi.DOCUMENT: openapi.document,
        }

    def answer(self, request: Request) -> Answer | Awaitable[Answer]:
        path = request.raw_path.rstrip("/")
        if path in {"/livez", "/healthz"}:
            return text_response(200, "ok")
        if path == "/readyz":
            is_ready = bool(self._nodes())
            return text_response(200 if is_ready else 500, "ok" if is_ready else "no nodes yet")
        if path == "/metrics":
            return self._page.answer(request)
        if path.startswith(f"{targets.PATH}/"):
            return self._targets(request, path.removeprefix(f"{targets.PATH}/"))
        return self._guarded(request, path)

    async def _targets(self, request: Request, port: str) -> Answer:
        refused = await refusal(self._gate, request)
        if refused is not None:
            return refused
        found = targets.targets(self._nodes(), port)
        return _json(200, found) if found is not None else text_response(404, "no such port")

    async def _guarded(self, request: Request, path: str) -> Answer:
        try:
            self._proxy.check(request)
            if request.method != "GET":
                raise MethodNotAllowed("only GET is served here", details={})
            document = self._documents.get(path)
            found = document() if document else await self._resource(path, request.params())
        except ApiError as exc:
            return _json(exc.code, exc.to_status())
        except ValueError as exc:
            return text_response(400, str(exc))
        if _wants_table(request) and document is None and found["apiVersion"] == API_VERSION:
            found = objects.table(found.get("items", [found]))
        return _json(200, found)

    async def _resource(self, path: str, params: Params) -> Obj:
        """Raises ApiError."""
        if path.startswith(f"{history_api.PATH}/"):
            return self._past(path.removeprefix(f"{history_api.PATH}/"), params)
        if not path.startswith(f"{discovery.METRICS_PATH}/"):
            raise NotFound(_NO_RESOURCE, details={})
        parts = [unquote(p) for p in path.removeprefix(f"{discovery.METRICS_PATH}/").split("/")]
        match parts:
            case ["nodes"]:
                return await self._metrics.nodes(params)
            case ["nodes", name]:
                return await self._metrics.node(name)
            case ["pods"]:
                return await self._metrics.pods("", params)
            case ["namespaces", namespace, "pods"]:
                return await self._metrics.pods(namespace, params)
            case ["namespaces", namespace, "pods", name]:
                return await self._metrics.pod(namespace, name)
        raise NotFound(_NO_RESOURCE, details={})

    def _past(self, path: str, params: Params) -> Obj:
        """Raises ApiError."""
        match [unquote(part) for part in path.split("/")]:
            case ["nodehistories", name]:
                return self._history.node(name, params)
            case ["namespaces", namespace, "podhistories", name]:
                return self._history.pod(namespace, name, params)
        raise NotFound(_NO_RESOURCE, details={})


def _history_group() -> Obj:
    return discovery.group(history_api.GROUP, history_api.VERSION)


def _wants_table(request: Request) -> bool:
    first = request.headers.get("accept", "").partition(",")[0]
    return "as=Table" in first.replace(" ", "").split(";")


def _json(status: int, document: Any) -> Response:
    return Response(status, orjson.dumps(document), JSON)
