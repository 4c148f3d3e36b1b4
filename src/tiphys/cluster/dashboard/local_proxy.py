"""The proxy on 127.0.0.1 between a browser and the API server: the administrator's certificate.

Beside the API it serves what a browser cannot ask it for:

    /tiphys/v1/streams   WebSocket: any number of watches and logs over one connection
    /tiphys/v1/images    images of the embedded registry and their layers
"""

import logging
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from tiphys.api.errors import ApiError
from tiphys.apiserver.tunnel import Target, pass_on
from tiphys.client.kubeconfig import Access
from tiphys.cluster.dashboard import request_filter
from tiphys.cluster.dashboard.manifests import ADDRESS
from tiphys.cluster.dashboard.stream_multiplexer import StreamMultiplexer
from tiphys.lib.http.client import HttpClient
from tiphys.lib.http.message import (
    Answer,
    Request,
    Response,
    UpgradeResponse,
    header_line,
    text_response,
)
from tiphys.lib.http.server import HttpServer, Limits
from tiphys.lib.http.websocket import accept_key

log = logging.getLogger(__name__)

STREAMS: Final = "/tiphys/v1/streams"
IMAGES: Final = "/tiphys/v1/images"
CONNECTIONS_MAX: Final = 512  # Browsers open six per origin, and a WebSocket per tab or shell.
# Styles may be inline, as the terminal makes its own; scripts never.
_POLICY: Final = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_GUARD: Final = b"".join(
    header_line(name, value)
    for name, value in (
        ("Content-Security-Policy", _POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    )
)
# The files of the image are all as old as 1970: a browser would keep them for years, and take an
# index of the same size for unchanged.
_PAGE: Final = _GUARD + header_line("Cache-Control", "no-store")


class LocalProxy:
    """images gives the answer of /tiphys/v1/images."""

    def __init__(self, access: Access, images: Callable[[], Any]) -> None:
        self._server = urlsplit(access.server)
        self._tls = access.tls()
        self._images = images
        client = HttpClient(access.server, tls=self._tls, headers={"User-Agent": "tiphys"})
        self._streams = StreamMultiplexer(client)
        self._http = HttpServer(
            self._handle, tls=None, limits=Limits(connections_max=CONNECTIONS_MAX)
        )

    async def listen(self, port: int) -> int:
        """The port. Raises OSError."""
        return await self._http.listen("127.0.0.1", port)

    async def stop(self) -> None:
        await self._http.stop()

    async def _handle(self, request: Request) -> Answer:
        why = request_filter.refusal(request.method, request.raw_path, request.headers)
        if why:
            return _guarded(text_response(403, f"Forbidden: {why}\n"))
        if request.raw_path == STREAMS:
            return self._open_streams(request)
        if request.raw_path == IMAGES:
            body = orjson.dumps(self._images())
            return _guarded(Response(200, body, (("Content-Type", "application/json"),)))
        target = Target(
            self._server.hostname or "", self._server.port or 443, request.target, self._tls
        )
        try:
            answer = await pass_on(request, target)
        except ApiError as error:
            return _guarded(text_response(502, f"the API server does not answer: {error}\n"))
        return _guarded(answer, page=request.raw_path.startswith(ADDRESS))

    def _open_streams(self, request: Request) -> Answer:
        key = request.headers.get("sec-websocket-key", "")
        if not request.wants_upgrade or not key:
            return text_response(426, "this is a WebSocket\n")
        headers = (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept_key(key)),
        )
        return UpgradeResponse(self._streams.serve, headers)


def _guarded(answer: Answer, *, page: bool = False) -> Answer:
    if not isinstance(answer, UpgradeResponse):
        answer.own_headers += _PAGE if page else _GUARD
    return answer
