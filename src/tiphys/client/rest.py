"""Typed paths over HTTP: the requests that components and the command line make.

Bodies are JSON dicts. Every failure is an ApiError: the server's Status, or ServiceUnavailable
when there was no answer. Writes are never sent twice. Upstream: client-go rest, dynamic.
"""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol
from urllib.parse import quote, urlencode, urlsplit

import orjson

from tiphys.api.errors import ApiError, ServiceUnavailable, Timeout, from_status
from tiphys.api.meta import GroupVersionResource, Obj, name_of, namespace_of
from tiphys.client import kubeconfig
from tiphys.client.kubeconfig import Access
from tiphys.lib.http.client import Answer, HttpClient, HttpError, Stream
from tiphys.lib.metrics import Counter
from tiphys.lib.tls import offer_http2
from tiphys.lib.tls_renewal import RenewedCertificate

if TYPE_CHECKING:
    from tiphys.lib.http.http2_client import Sessions

HTTPS_PORT: Final = 443
PATCH_TYPES: Final = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
PatchKind = Literal["json", "merge", "strategic", "apply"]
Query = Mapping[str, str | int | bool | None]


class Http(Protocol):
    """How requests get there: over sockets (lib.http.client), or within one process in tests."""

    host: str
    headers: dict[str, str]

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_seconds: float = 60.0,
    ) -> Answer: ...

    async def stream(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Stream: ...

    def close(self) -> None: ...


Transport = Callable[[Mapping[str, str]], Http]
"""Headers of all requests -> the way there."""


class Client:
    """One user's view of one API server."""

    http: Http

    def __init__(
        self,
        access: Access,
        *,
        user_agent: str = "tiphys",
        shared_tls: ssl.SSLContext | None = None,
        transport: Transport | None = None,
        multiplexed: bool = False,
        sessions: "Sessions | None" = None,
    ) -> None:
        """shared_tls: a context made from an equal access, in place of one of our own.

        multiplexed: all requests over one HTTP/2 connection, for who watches much; sessions: of
        a client with an equal access.
        transport: another way there than sockets; access then says who we are only.
        """
        headers = {"User-Agent": user_agent, "Accept": "application/json"}
        if access.token is not None:
            headers["Authorization"] = "Bearer " + str.__str__(access.token)
        self.access = access
        self._others: Sessions | None = None
        self.transport = transport
        self.requests = Counter(
            "rest_client_requests_total",
            "[ALPHA] Number of HTTP requests, partitioned by status code, method, and host.",
            ("code", "method", "host"),
        )
        if transport is not None:
            self.http = transport(headers)
            return
        is_https = access.server.startswith("https")
        tls = (shared_tls or access.tls()) if is_https else None
        renewed: Callable[[], bool] = lambda: False  # noqa: E731 - the usual case
        if tls is not None and access.certificate_files is not None:
            renewed = RenewedCertificate(tls, *access.certificate_files).refresh
        owns_sessions = sessions is None
        if multiplexed and tls is not None:
            sessions = sessions_to(access, tls)
        self.http = HttpClient(
            access.server,
            tls=tls,
            headers=headers,
            server_hostname=access.tls_server_name,
            renewed=renewed,
            sessions=sessions,
            owns_sessions=owns_sessions,
        )

    @classmethod
    def from_kubeconfig(
        cls, path: Path, *, user_agent: str = "tiphys", multiplexed: bool = False
    ) -> "Client":
        return cls(kubeconfig.load(path), user_agent=user_agent, multiplexed=multiplexed)

    async def get(
        self, gvr: GroupVersionResource, name: str, namespace: str = "", subresource: str = ""
    ) -> Obj:
        return await self.request("GET", path_of(gvr, namespace, name, subresource))

    async def list(
        self,
        gvr: GroupVersionResource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> Obj:
        """The list object: `items` and `metadata`."""
        query: Query = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "resourceVersion": resource_version,
            "limit": limit,
            "continue": continue_token,
        }
        return await self.request("GET", path_of(gvr, namespace), query=query)

    async def create(
        self,
        gvr: GroupVersionResource,
        obj: Obj,
        namespace: str | None = None,
        *,
        name: str = "",
        subresource: str = "",
    ) -> Obj:
        where = namespace_of(obj) if namespace is None else namespace
        return await self.request("POST", path_of(gvr, where, name, subresource), obj)

    async def update(
        self,
        gvr: GroupVersionResource,
        obj: Obj,
        namespace: str | None = None,
        subresource: str = "",
    ) -> Obj:
        where = namespace_of(obj) if namespace is None else namespace
        return await self.request("PUT", path_of(gvr, where, name_of(obj), subresource), obj)

    async def patch(
        self,
        gvr: GroupVersionResource,
        name: str,
        patch: Any,
        namespace: str = "",
        subresource: str = "",
        *,
        kind: PatchKind = "strategic",
    ) -> Obj:
        path = path_of(gvr, namespace, name, subresource)
        return await self.request("PATCH", path, patch, content_type=PATCH_TYPES[kind])

    async def delete(
        self,
        gvr: GroupVersionResource,
        name: str,
        namespace: str = "",
        *,
        grace_period_seconds: int | None = None,
        propagation: str = "",
        uid: str = "",
        resource_version: str = "",
    ) -> Obj:
        options: Obj = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if propagation:
            options["propagationPolicy"] = propagation
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if any(preconditions.values()):
            options["preconditions"] = {k: v for k, v in preconditions.items() if v}
        return await self.request("DELETE", path_of(gvr, namespace, name), options)

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        timeout_seconds: float = 60.0,
    ) -> Obj:
        """A request whose answer is JSON. Raises ApiError."""
        answer = await self.raw(
            method,
            path,
            body,
            query=query,
            headers=headers,
            content_type=content_type,
            timeout_seconds=timeout_seconds,
        )
        found: Obj = orjson.loads(answer.body) if answer.body else {}
        return found

    async def raw(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        timeout_seconds: float = 60.0,
    ) -> Answer:
        """The answer as it came. Raises ApiError for a status of 400 or more."""
        await self._authorize()
        data = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        sent = {**({"Content-Type": content_type} if data else {}), **(headers or {})}
        try:
            answer = await self.http.request(
                method,
                path + encoded(query),
                headers=sent,
                body=data,
                timeout_seconds=timeout_seconds,
            )
        except HttpError as exc:
            raise ServiceUnavailable(str(exc)) from exc
        except TimeoutError as exc:
            raise Timeout(str(exc)) from exc
        self.requests.add(str(answer.status), method, self.http.host)
        if answer.status >= 400:
            self._refused(answer.status)
            raise error_of(answer)
        return answer

    async def stream(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Stream:
        """An answer read as it comes (logs, watches). Raises ApiError."""
        await self._authorize()
        try:
            stream = await self.http.stream(
                method, path + encoded(query), headers=headers, body=body
            )
        except HttpError as exc:
            raise ServiceUnavailable(str(exc)) from exc
        if stream.status < 400:
            return stream
        try:
            rest = b"".join([chunk async for chunk in stream.chunks()])
        except HttpError:
            rest = b""
        finally:
            stream.close()
        raise error_of(Answer(stream.status, stream.headers, rest))

    async def _authorize(self) -> None:
        """Called before every request: credentials that change are renewed here."""

    def _refused(self, status: int) -> None:
        """Called for every error."""

    def sessions_as(self, access: Access, tls: ssl.SSLContext) -> "Sessions":
        """HTTP/2 connections with another identity, the same at each call; they end with us."""
        if self._others is None:
            self._others = sessions_to(access, tls)
        return self._others

    def close(self) -> None:
        self.http.close()
        if self._others is not None:
            self._others.close()


def sessions_to(access: Access, tls: ssl.SSLContext) -> "Sessions":
    """HTTP/2 connections with this identity; the context offers it from now on."""
    from tiphys.lib.http.http2_client import Sessions  # Who asks once never loads it.

    offer_http2(tls)
    where = urlsplit(access.server)
    host = where.hostname or ""
    return Sessions(host, where.port or HTTPS_PORT, tls, access.tls_server_name or host)


def path_of(
    gvr: GroupVersionResource, namespace: str = "", name: str = "", subresource: str = ""
) -> str:
    """`/apis/apps/v1/namespaces/ns/deployments/name/status`."""
    parts = [gvr.path]
    if namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(gvr.resource)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts += [quote(p, safe="") for p in subresource.split("/")]
    return "/".join(parts)


def encoded(query: Query | None) -> str:
    """`?a=b`, without what is empty, zero, false or None."""
    if not query:
        return ""
    pairs = {k: "true" if v is True else str(v) for k, v in query.items() if v}
    return "?" + urlencode(pairs) if pairs else ""


def error_of(answer: Answer) -> ApiError:
    """The ApiError that an answer of 400 or more stands for."""
    try:
        status = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return from_status(status, answer.status)
    text = answer.body.decode(errors="replace").strip()
    return from_status({"message": text} if text else {}, answer.status)
