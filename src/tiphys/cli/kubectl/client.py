"""Requests to the API server, blocking and with few imports: a command starts in milliseconds."""

import http.client
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from tiphys.api.errors import ApiError, from_status
from tiphys.api.meta import GroupVersionResource, Obj
from tiphys.client.kubeconfig import Access

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class Unreachable(Exception):
    """There is no answer: the server's address and why."""


class KubeClient:
    """One user's view of one API server over one kept connection."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.namespace = access.namespace
        self._url = urlsplit(access.server)
        self._tls: ssl.SSLContext = access.tls()
        self._connection: http.client.HTTPSConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        accept: str = "application/json",
        content_type: str = "application/json",
    ) -> Obj:
        """An answer in JSON. Raises ApiError, Unreachable."""
        answer = self._answer(method, path, body, query, accept, content_type)
        data = answer.read()
        if answer.status >= 400:
            raise _error(answer.status, data)
        found: Obj = orjson.loads(data) if data else {}
        return found

    def lines(self, path: str, query: Mapping[str, Any], accept: str) -> Iterator[Obj]:
        """The JSON documents of a watch, as they come."""
        for line in self._follow(path, query, accept):
            if line.strip():
                yield orjson.loads(line)

    def chunks(self, path: str, query: Mapping[str, Any]) -> Iterator[bytes]:
        """Pieces of a text that grows (logs)."""
        answer = self._answer("GET", path, None, query, "*/*", "")
        if answer.status >= 400:
            raise _error(answer.status, answer.read())
        while piece := answer.read1(65536):
            yield piece

    def _follow(self, path: str, query: Mapping[str, Any], accept: str) -> Iterator[bytes]:
        answer = self._answer("GET", path, None, query, accept, "")
        if answer.status >= 400:
            raise _error(answer.status, answer.read())
        while line := answer.readline():
            yield line

    def _answer(
        self,
        method: str,
        path: str,
        body: Any,
        query: Mapping[str, Any] | None,
        accept: str,
        content_type: str,
    ) -> http.client.HTTPResponse:
        given = {k: _text(v) for k, v in (query or {}).items() if v not in (None, "", False)}
        target = path + ("?" + urlencode(given) if given else "")
        headers = {"Accept": accept, "User-Agent": "kubectl/tiphys"}
        if self.access.token is not None:
            headers["Authorization"] = "Bearer " + str.__str__(self.access.token)
        data = None if body is None else orjson.dumps(body)
        if data is not None:
            headers["Content-Type"] = content_type
        try:
            if self._connection is None:
                self._connection = self.connect()
            self._connection.request(method, target, data, headers)
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException) as exc:
            self._connection = None
            raise self._unreachable(exc) from exc

    def connect(self) -> http.client.HTTPSConnection:
        """A connection that is opened when it is used, which raises OSError."""
        return http.client.HTTPSConnection(
            self._url.hostname or "", self._url.port or 443, context=self._tls
        )

    def open_stream(self) -> http.client.HTTPSConnection:
        """An open connection for one stream. Raises Unreachable."""
        connection = self.connect()
        try:
            connection.connect()
        except OSError as exc:
            raise self._unreachable(exc) from exc
        return connection

    def _unreachable(self, exc: Exception) -> Unreachable:
        host = f"{self._url.hostname}:{self._url.port or 443}"
        return Unreachable(
            f"The connection to the server {host} was refused - did you specify the right "
            f"host or port? ({exc})"
        )


def path_of(gvr: GroupVersionResource, namespace: str, name: str = "", sub: str = "") -> str:
    parts = [gvr.path]
    if namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts += [p for p in (gvr.resource, quote(name, safe=""), sub) if p]
    return "/".join(parts)


def _text(value: Any) -> str:
    return "true" if value is True else str(value)


def _error(status: int, data: bytes) -> ApiError:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        body = {"message": data.decode(errors="replace").strip()}
    return from_status(body if isinstance(body, dict) else {}, status)
