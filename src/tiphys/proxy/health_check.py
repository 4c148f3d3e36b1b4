"""Answers load balancers that ask whether this node has endpoints of a Service.

Every path of the port says the same. Only for load balancers with a Local external policy.
Upstream: pkg/proxy/healthcheck/service_health.go.
"""

import json
import logging
from collections.abc import Callable, Iterable
from typing import Final

from tiphys.lib.http.message import Request, Response
from tiphys.lib.http.server import HttpServer, Limits
from tiphys.proxy.plan import HealthCheck

log = logging.getLogger(__name__)

HOST: Final = "0.0.0.0"
_HEADERS: Final = (("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"))
_LIMITS: Final = Limits(body_bytes_max=0, head_bytes_max=16384, connections_max=256)


def answer(check: HealthCheck, *, healthy: bool) -> Response:
    """200 or 503, with upstream's body."""
    status = 200 if check.local_endpoints and healthy else 503
    namespace, name = (json.dumps(part) for part in check.service)
    body = (
        "{\n"
        '\t"service": {\n'
        f'\t\t"namespace": {namespace},\n'
        f'\t\t"name": {name}\n'
        "\t},\n"
        f'\t"localEndpoints": {check.local_endpoints},\n'
        f'\t"serviceProxyHealthy": {str(healthy).lower()}\n'
        "}"
    )
    return Response(status, body.encode(), _HEADERS)


class HealthChecks:
    """One server for each port. healthy: whether the proxy itself does its work."""

    def __init__(self, healthy: Callable[[], bool]) -> None:
        self._healthy = healthy
        self._servers: dict[int, HttpServer] = {}
        self._checks: dict[int, HealthCheck] = {}

    async def update(self, checks: Iterable[HealthCheck]) -> None:
        """Listen where it is wanted, nowhere else. A port that is taken is logged."""
        self._checks = {check.port: check for check in checks}
        for port in self._servers.keys() - self._checks.keys():
            await self._servers.pop(port).stop()
        for port in self._checks.keys() - self._servers.keys():
            server = HttpServer(self._handler(port), tls=None, limits=_LIMITS)
            try:
                await server.listen(HOST, port)
            except OSError as exc:
                await server.stop()
                extra = {"service": str(self._checks[port].service), "port": port, "why": str(exc)}
                log.warning("no health check of a Service", extra=extra)
                continue
            self._servers[port] = server

    async def close(self) -> None:
        await self.update(())

    def _handler(self, port: int) -> Callable[[Request], Response]:
        def handle(request: Request) -> Response:
            return answer(self._checks[port], healthy=self._healthy())

        return handle
