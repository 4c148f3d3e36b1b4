"""GET of metrics.k8s.io/v1beta1: which nodes or pods are asked for, and what they use.

The API server knows names and labels: it is asked at each request, and nothing is kept here but
the points. Upstream: metrics-server pkg/api (node.go, pod.go).
"""

from collections.abc import Callable, Iterable
from typing import Final

from tiphys.api.errors import NotFound, not_found
from tiphys.api.meta import Obj, name_of, namespace_of
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock
from tiphys.metrics_server import objects
from tiphys.metrics_server.discovery import GROUP
from tiphys.metrics_server.points import Points

_PARTIAL: Final = "application/json;as={};g=meta.k8s.io;v=v1"
Params = dict[str, list[str]]


class MetricsApi:
    """`points` gives the newest state."""

    def __init__(self, client: Client, clock: Clock, points: Callable[[], Points]) -> None:
        self._client = client
        self._clock = clock
        self._points = points

    async def nodes(self, params: Params) -> Obj:
        nodes = await self._known("/api/v1/nodes", params)
        return objects.listed("NodeMetrics", list(self._of_nodes(nodes)))

    async def node(self, name: str) -> Obj:
        """Raises ApiError."""
        try:
            node = await self._one(f"/api/v1/nodes/{name}")
        except NotFound as exc:
            raise not_found(GROUP, "nodemetrics", name) from exc
        return self._or_not_found(self._of_nodes([node]), "nodemetrics", name)

    async def pods(self, namespace: str, params: Params) -> Obj:
        """namespace: empty for all."""
        where = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        pods = await self._known(where, params)
        return objects.listed("PodMetrics", list(self._of_pods(pods)))

    async def pod(self, namespace: str, name: str) -> Obj:
        """Raises ApiError."""
        shown = f"{namespace}/{name}"
        try:
            pod = await self._one(f"/api/v1/namespaces/{namespace}/pods/{name}")
        except NotFound as exc:
            raise not_found(GROUP, "podmetrics", shown) from exc
        return self._or_not_found(self._of_pods([pod]), "podmetrics", shown)

    def _of_nodes(self, nodes: Iterable[Obj]) -> Iterable[Obj]:
        now, points = self._clock.now(), self._points()
        for node in nodes:
            used = points.node(name_of(node))
            if used is not None:
                yield objects.node_metrics(node, used, now)

    def _of_pods(self, pods: Iterable[Obj]) -> Iterable[Obj]:
        now, points = self._clock.now(), self._points()
        for pod in pods:
            used = points.pod((namespace_of(pod), name_of(pod)))
            if used is not None:
                yield objects.pod_metrics(pod, used, now)

    def _or_not_found(self, found: Iterable[Obj], resource: str, name: str) -> Obj:
        one = next(iter(found), None)
        if one is None:
            raise not_found(GROUP, resource, name)
        return one

    async def _known(self, path: str, params: Params) -> list[Obj]:
        query = {k: params[k][0] for k in ("labelSelector", "fieldSelector") if params.get(k)}
        accept = {"Accept": _PARTIAL.format("PartialObjectMetadataList")}
        answer = await self._client.request("GET", path, query=query, headers=accept)
        items: list[Obj] = answer.get("items") or []
        return sorted(items, key=lambda i: (namespace_of(i), name_of(i)))

    async def _one(self, path: str) -> Obj:
        accept = {"Accept": _PARTIAL.format("PartialObjectMetadata")}
        return await self._client.request("GET", path, headers=accept)
