"""Serves the discovery documents: legacy and aggregated, JSON, YAML or protobuf, with ETags.

Upstream: apiserver pkg/endpoints/discovery, .../aggregated/handler.go.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from tiphys.api.errors import MethodNotAllowed, NotAcceptable, NotFound
from tiphys.api.meta import Obj
from tiphys.api.resources import GROUP_VERSIONS, RESOURCES, GroupVersionInfo, ResourceInfo
from tiphys.apiserver.discovery import aggregated, legacy
from tiphys.apiserver.negotiation import CLAUSES_MAX, NO_VIEWS, MediaType, Scope, negotiate
from tiphys.apiserver.request_info import RequestInfo
from tiphys.apiserver.responses import CACHE_CONTROL, encode
from tiphys.lib.http.message import Answer, Headers, Request, Response

if TYPE_CHECKING:
    from tiphys.apiserver.documents import Documents


class Served(NamedTuple):
    """What discovery shows."""

    versions: Sequence[GroupVersionInfo]
    resources: Sequence[ResourceInfo]


_AGGREGATED: Final = "as=APIGroupDiscoveryList"
_AGGREGATED_TYPE: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_NO_METHOD: Final = "the server does not allow this method on the requested resource"


class DiscoveryRoutes:
    """`served` gives the groups and resources of now: ours, and those of others' servers."""

    def __init__(self, server_address: str, served: Callable[[], Served]) -> None:
        self._server_address = server_address
        self._served = served

    def add_to(self, documents: "Documents") -> None:
        documents.add("/api", self._core)
        documents.add("/apis", self._groups)
        documents.add("/api/v1", self._resources)
        for version in GROUP_VERSIONS:
            if version.group:
                documents.add(f"/apis/{version.group}", self._group)
                documents.add(f"/apis/{version.api_version}", self._resources)
        documents.add("/apis/", self._group_of_others, prefix=True)

    def _core(self, request: Request, info: RequestInfo) -> Answer:
        self._only_get(request)
        if wants_aggregated(request):
            return self._send(request, "api", aggregated.core_discovery(GROUP_VERSIONS, RESOURCES))
        found = legacy.api_versions(self._server_address)
        return self._send(request, "", found, scope="object")

    def _groups(self, request: Request, info: RequestInfo) -> Answer:
        if wants_aggregated(request):
            document = aggregated.group_discovery(*self._served())
            return self._send(request, "apis", document)
        return self._send(request, "", legacy.api_group_list(self._served().versions))

    def _group(self, request: Request, info: RequestInfo) -> Answer:
        found = legacy.api_group(info.path.strip("/").split("/")[1], self._served().versions)
        if found is None:
            raise NotFound("the server could not find the requested resource", details={})
        return self._send(request, "", found)

    def _group_of_others(self, request: Request, info: RequestInfo) -> Answer | None:
        """`/apis/GROUP` and `/apis/GROUP/VERSION` of a group that is not built in."""
        parts = info.path.strip("/").split("/")
        if len(parts) == 3 and self._is_custom(parts[1], parts[2]):
            self._only_get(request)
            document = legacy.api_resource_list(parts[1], parts[2], self._served().resources)
            return self._send(request, "", document, scope="object")
        found = legacy.api_group(parts[1], self._served().versions) if len(parts) == 2 else None
        return None if found is None else self._send(request, "", found)

    def _is_custom(self, group: str, version: str) -> bool:
        return any((v.group, v.version) == (group, version) for v in self._served().versions)

    def _resources(self, request: Request, info: RequestInfo) -> Answer:
        self._only_get(request)
        *_, group, version = ["", *info.path.strip("/").split("/")]
        group = "" if group == "api" else group
        document = legacy.api_resource_list(group, version, RESOURCES)
        return self._send(request, "", document, scope="object")

    def _only_get(self, request: Request) -> None:
        if request.method != "GET":
            raise MethodNotAllowed(_NO_METHOD, details={})

    def _send(
        self, request: Request, aggregate: str, document: Obj, scope: Scope = "document"
    ) -> Answer:
        """`aggregate` names an aggregated document, which has a type and an ETag of its own."""
        if aggregate:
            body = encode(document, MediaType(), pretty=False)
            etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
            headers: Headers = (
                ("Cache-Control", "public"),
                ("Content-Type", _AGGREGATED_TYPE),
                ("ETag", etag),
                ("Vary", "Accept"),
                ("X-Varied-Accept", _AGGREGATED_TYPE),
            )
            if request.headers.get("if-none-match") == etag:
                return Response(304, b"", headers[2:4])
            return Response(200, body, headers)
        media = negotiate(request.headers.get("accept", ""), scope, views=NO_VIEWS)
        body = encode(document, media, pretty=False)
        return Response(200, body, (CACHE_CONTROL, ("Content-Type", media.type)))


def wants_aggregated(request: Request) -> bool:
    """The first clause that we can serve is the aggregated form."""
    for clause in request.headers.get("accept", "").split(",", CLAUSES_MAX)[:CLAUSES_MAX]:
        words = {w.strip() for w in clause.split(";")}
        if _AGGREGATED in words:
            if "g=apidiscovery.k8s.io" in words and "v=v2" in words:
                return True
            continue
        try:
            negotiate(clause.strip(), "document", views=NO_VIEWS)
        except NotAcceptable:
            continue
        return False
    return False
