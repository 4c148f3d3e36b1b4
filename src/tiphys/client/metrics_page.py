"""A component's page of metrics, and whether it is well: /metrics, /healthz, /livez, /readyz.

With certificates over TLS, for those whom the API server lets read /metrics, as upstream's
controller manager and scheduler; without, as upstream's proxy and CoreDNS, for everybody who
reaches the address. Upstream: component-base/metrics, cmd/kube-scheduler/app/server.go.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tiphys.client.delegated_access import Gate
from tiphys.client.rest import Client
from tiphys.lib import prometheus_text
from tiphys.lib.clock import Clock
from tiphys.lib.http.message import Answer, Request, Response, text_response
from tiphys.lib.http.server import HttpServer
from tiphys.lib.metrics import process_families
from tiphys.lib.prometheus_text import Family
from tiphys.lib.tls import server_context

log = logging.getLogger(__name__)

LISTEN_RETRY_SECONDS: Final = 30.0  # Another profile without nodes may have the port.
HEADERS: Final = (("Content-Type", prometheus_text.CONTENT_TYPE),)
_HEALTH: Final = frozenset({"/healthz", "/livez", "/readyz"})
Families = Callable[[], Iterable[Family]]


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Where the page is; the three files or none."""

    host: str
    port: int
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None


class MetricsPage:
    """`families` is called for each request."""

    def __init__(self, families: Families, gate: Gate | None) -> None:
        self._families = families
        self._gate = gate

    def answer(self, request: Request) -> Answer | Awaitable[Answer]:
        if request.raw_path in _HEALTH:
            return text_response(200, "ok")
        if request.raw_path != "/metrics" or request.method != "GET":
            return text_response(404, "404 page not found")
        return self._page() if self._gate is None else self._guarded(self._gate, request)

    async def _guarded(self, gate: Gate, request: Request) -> Answer:
        return await refusal(gate, request) or self._page()

    def _page(self) -> Answer:
        families = [*self._families(), *process_families()]
        return Response(200, prometheus_text.render(families), HEADERS)


async def refusal(gate: Gate, request: Request) -> Response | None:
    """None for somebody who may ask for the path."""
    user = await gate.user_of(request)
    if user is None:
        return text_response(401, "Unauthorized")
    path = request.raw_path
    if await gate.allows(user, request.method, path):
        return None
    return text_response(403, f'Forbidden: user "{user.name}" cannot get path "{path}"')


async def serve_metrics(
    config: MetricsConfig | None, families: Families, client: Client | None, clock: Clock
) -> None:
    """Until cancelled; None: nowhere. An address that is taken is tried again, and told once.

    client: asks the API server who may read; needed with certificates only.
    """
    if config is None:
        await asyncio.Event().wait()
        return
    gate, tls = None, None
    if client is not None and config.tls_cert and config.tls_key and config.client_ca:
        gate = Gate(client, clock, config.client_ca)
        tls = server_context(config.tls_cert, config.tls_key, [config.client_ca])
    http = HttpServer(MetricsPage(families, gate).answer, tls=tls)
    told = False
    try:
        while True:
            try:
                await http.listen(config.host, config.port)
                break
            except OSError as exc:
                if not told:
                    log.warning("no page of metrics", extra={"why": str(exc)})
                    told = True
                await clock.sleep(LISTEN_RETRY_SECONDS)
        await asyncio.Event().wait()
    finally:
        await http.stop()
