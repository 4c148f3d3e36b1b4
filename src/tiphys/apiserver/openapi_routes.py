"""Serves the OpenAPI documents, built in a thread when first asked, with ETags.

Upstream: kube-openapi pkg/handler (v2), pkg/handler3 (v3).
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import orjson

from tiphys.apiserver.aggregation.availability import CHECKER
from tiphys.apiserver.aggregation.remote import Remote
from tiphys.apiserver.list_options import query_of
from tiphys.apiserver.openapi import v2, v2_protobuf, v3
from tiphys.apiserver.request_info import RequestInfo
from tiphys.apiserver.responses import GZIP_BYTES_MIN, GZIP_LEVEL
from tiphys.lib.http.message import Answer, Headers, Request, Response

if TYPE_CHECKING:
    from tiphys.apiserver.custom_resources.openapi import CustomDocuments
    from tiphys.apiserver.documents import Documents
    from tiphys.apiserver.server import ApiServer

_JSON: Final = "application/json"
V3: Final = "/openapi/v3"
_OLD_PROTOBUF: Final = "application/com.github.googleapis.gnostic.OpenAPIv2@68f4ded+protobuf"
# Asked for with an "@", which is no valid media type in an answer.
_SENT_TYPE: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_FOREVER: Final = ("Cache-Control", "public, immutable")
_YEAR: Final = ("Expires", "Fri, 31 Dec 2100 00:00:00 GMT")


class OpenApiRoutes:
    """`version` is the server's gitVersion; `server` knows the documents of other servers.

    Their documents of v2 are not merged into ours.
    """

    def __init__(self, version: str, server: "ApiServer") -> None:
        self._version = version
        self._server = server
        self._etags: dict[tuple[str, str], str] = {}
        self._compressed: dict[tuple[str, str], bytes] = {}
        self._custom_v2: dict[str, bytes] = {}

    def add_to(self, documents: "Documents") -> None:
        documents.add("/openapi/v2", self._v2)
        documents.add(V3, self._v3_index)
        documents.add(f"{V3}/", self._v3_document, prefix=True)

    def _v2(self, request: Request, info: RequestInfo) -> Awaitable[Answer] | Answer:
        media_type = v2_media_type(request.headers.get("accept", ""))
        if media_type is None:
            return Response(406, b"")
        custom = self._server.definitions
        if custom is not None and custom.versions:
            return self._v2_with(request, custom.documents, media_type)
        if media_type == "application/json":
            return self._built(request, "v2", media_type, lambda: v2.json_bytes(self._version))
        return self._built(request, "v2", _SENT_TYPE, lambda: v2.protobuf_bytes(self._version))

    def _v2_with(
        self, request: Request, custom: "CustomDocuments", media_type: str
    ) -> Awaitable[Answer]:
        """Custom resources are in it, so it is another one after each change of them."""

        def build() -> bytes:
            document = v2.merged(self._version, custom.v2_parts())
            return orjson.dumps(document) if media_type == _JSON else v2_protobuf.encode(document)

        sent = _JSON if media_type == _JSON else _SENT_TYPE
        return self._built(request, "v2", sent, lambda: self._kept(sent, build))

    def _kept(self, media_type: str, build: Callable[[], bytes]) -> bytes:
        found = self._custom_v2.get(media_type)
        if found is None:
            found = self._custom_v2[media_type] = build()
        return found

    def forget(self) -> None:
        """Custom resources are others than before."""
        self._custom_v2.clear()
        self._etags.clear()
        self._compressed.clear()

    def _custom_v3(self) -> tuple[tuple[str, str], ...]:
        """Paths and hashes."""
        custom = self._server.definitions
        if custom is None:
            return ()
        documents, version = custom.documents, self._version
        return tuple((path, documents.document(path, version)[1]) for path in documents.paths())

    def _v3_index(self, request: Request, info: RequestInfo) -> Awaitable[Answer] | Answer:
        others = tuple(remote.path for remote in self._others())
        return self._built(
            request,
            " ".join((V3, *others)),
            "application/json",
            lambda: v3.index_bytes(self._version, others, self._custom_v3()),
        )

    def _others(self) -> list[Remote]:
        """Other servers that describe what they serve."""
        described = self._server.availability.described
        remotes = self._server.aggregation.remotes.values()
        return [r for r in remotes if r.is_available and r.key in described]

    def _v3_document(self, request: Request, info: RequestInfo) -> Awaitable[Answer] | Answer:
        path = info.path.removeprefix(f"{V3}/").strip("/")
        for remote in self._others():
            if path == remote.path.strip("/"):
                return self._server.aggregation.forward(request, CHECKER, remote)
        asked = query_of(request).get("hash", [""])[0]
        custom = self._server.definitions
        if custom is not None and path in custom.documents.paths():
            return self._custom_document(request, path, asked, custom.documents)
        if path not in v3.document_paths():
            return Response(404, b"")
        headers: Headers = ()
        if asked:
            current = v3.document_hash(path, self._version)
            if asked != current:
                return Response(301, b"", (("Location", f"{V3}/{path}?hash={current}"),))
            headers = (_FOREVER, _YEAR)
        return self._built(
            request,
            path,
            "application/json",
            lambda: v3.document_bytes(path, self._version) or b"",
            headers,
        )

    async def _custom_document(
        self, request: Request, path: str, asked: str, documents: "CustomDocuments"
    ) -> Answer:
        try:
            body, current = await asyncio.to_thread(documents.document, path, self._version)
        except KeyError:  # Gone meanwhile.
            return Response(404, b"")
        if asked and asked != current:
            return Response(301, b"", (("Location", f"{V3}/{path}?hash={current}"),))
        headers: Headers = (_FOREVER, _YEAR) if asked else ()
        return await self._built(request, path, _JSON, lambda: body, headers)

    async def _built(
        self,
        request: Request,
        key: str,
        media_type: str,
        build: Callable[[], bytes],
        headers: Headers = (),
    ) -> Answer:
        """Documents cost tenths of a second once; other requests go on meanwhile."""
        body = await asyncio.to_thread(build)
        etag = self._etags.get((key, media_type))
        if etag is None:
            etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
            self._etags[key, media_type] = etag
        if request.headers.get("if-none-match") == etag:
            return Response(304, b"", (("ETag", etag),))
        shown: Headers = (
            ("Content-Type", media_type),
            ("ETag", etag),
            ("Vary", "Accept-Encoding, Accept"),
            *headers,
        )
        if len(body) > GZIP_BYTES_MIN and "gzip" in request.headers.get("accept-encoding", ""):
            compressed = self._compressed.get((key, media_type))
            if compressed is None:
                compressed = await asyncio.to_thread(_gzip, body)
                self._compressed[key, media_type] = compressed
            return Response(200, compressed, (*shown, ("Content-Encoding", "gzip")))
        return Response(200, body, shown)


def _gzip(body: bytes) -> bytes:
    import gzip

    return gzip.compress(body, GZIP_LEVEL, mtime=0)


def v2_media_type(accept: str) -> str | None:
    """JSON or protobuf; parameters do not count here."""
    if not accept:
        return "application/json"
    for clause in accept.split(","):
        media_type = clause.partition(";")[0].strip()
        if media_type in {"application/json", "application/*", "*/*"}:
            return "application/json"
        if media_type in {v2.PROTOBUF_TYPE, _OLD_PROTOBUF}:
            return v2.PROTOBUF_TYPE
    return None
