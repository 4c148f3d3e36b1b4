"""Paths that are no resource's: version, health, keys, discovery, OpenAPI, metrics.

Upstream: apiserver pkg/server/{healthz,routes}, pkg/kubeapiserver/server.
"""

import platform
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import orjson

from tiphys import __version__
from tiphys.api.errors import MethodNotAllowed, NotFound
from tiphys.apiserver import metrics
from tiphys.apiserver.list_options import query_of
from tiphys.apiserver.negotiation import JSON, check_routed
from tiphys.apiserver.request_info import RequestInfo
from tiphys.apiserver.responses import JSON_HEADERS, TEXT_HEADERS
from tiphys.lib import prometheus_text
from tiphys.lib.http.message import Answer, Request, Response

if TYPE_CHECKING:
    from tiphys.apiserver.server import ApiServer

UPSTREAM_VERSION: Final = "v1.36.2"
GIT_VERSION: Final = f"{UPSTREAM_VERSION}+tiphys.{__version__}"
_ROUTED: Final = ("/openid/v1/jwks/", "/api//")  # Behind upstream's router, which answers itself.
_CHECKS: Final = (
    "ping",
    "log",
    "etcd",
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/start-system-namespaces-controller",
)
# Asked for by name; upstream's /readyz alone lists them.
_MORE_CHECKS: Final = frozenset({"etcd-readiness", "informer-sync", "shutdown"})

Serve = Callable[[Request, RequestInfo], Answer | Awaitable[Answer] | None]
"""None where the path turns out to be nobody's."""


class Documents:
    """Serves fixed paths. `add` puts in another one (discovery, OpenAPI)."""

    def __init__(self, server: "ApiServer") -> None:
        self._server = server
        self._fixed: dict[str, Serve] = {
            "/version": self._version,
            "/healthz": self._health,
            "/livez": self._health,
            "/readyz": self._health,
            "/metrics": self._metrics,
            "/openid/v1/jwks": self._jwks,
            "/.well-known/openid-configuration": self._openid,
        }
        self._prefixes: dict[str, Serve] = {
            "/livez/": self._check,
            "/readyz/": self._check,
            "/healthz/": self._check,
        }

    def add(self, path: str, serve: Serve, *, prefix: bool = False) -> None:
        (self._prefixes if prefix else self._fixed)[path] = serve

    def serve(self, request: Request, info: RequestInfo) -> Answer | Awaitable[Answer] | None:
        """None when the path is not ours. Raises ApiError."""
        path = info.path
        found = self._fixed.get(path) or self._fixed.get(path.rstrip("/"))
        if found is None and path.startswith(_ROUTED):
            raise NotFound("the server could not find the requested resource", details={})
        if found is None:
            found = next((s for p, s in self._prefixes.items() if path.startswith(p)), None)
        return found(request, info) if found else None

    def _version(self, request: Request, info: RequestInfo) -> Answer:
        if request.method != "GET":
            raise MethodNotAllowed(
                "the server does not allow this method on the requested resource", details={}
            )
        check_routed(request.headers.get("accept", ""), (JSON,), (JSON,))
        major, minor, _ = UPSTREAM_VERSION.removeprefix("v").split(".")
        return json_response(
            {
                "major": major,
                "minor": minor,
                "emulationMajor": major,
                "emulationMinor": minor,
                "minCompatibilityMajor": major,
                "minCompatibilityMinor": str(int(minor) - 1),
                "gitVersion": GIT_VERSION,
                "gitCommit": "",
                "gitTreeState": "clean",
                "buildDate": "1970-01-01T00:00:00Z",
                "goVersion": f"python{platform.python_version()}",
                "compiler": platform.python_implementation().lower(),
                "platform": f"linux/{_machine()}",
            },
            pretty=True,
        )

    def _health(self, request: Request, info: RequestInfo) -> Answer:
        ready = self._server.is_ready or info.path == "/livez"
        params = query_of(request)
        excluded = {x for value in params.get("exclude", []) for x in value.split(",")}
        if ready and "verbose" not in params:
            return Response(200, b"ok", TEXT_HEADERS)
        lines = [
            f"[+]{check} excluded: ok" if check in excluded else f"[+]{check} ok"
            for check in _CHECKS
        ]
        name = info.path.strip("/")
        if ready:
            text = "\n".join([*lines, f"{name} check passed\n"])
            return Response(200, text.encode(), TEXT_HEADERS)
        text = "\n".join([*lines, "[-]shutdown failed: reason withheld", f"{name} check failed\n"])
        return Response(500, text.encode(), TEXT_HEADERS)

    def _check(self, request: Request, info: RequestInfo) -> Answer:
        name = info.path.strip("/").partition("/")[2]
        if name not in _CHECKS and name not in _MORE_CHECKS:
            return Response(404, b"404 page not found\n", TEXT_HEADERS)
        return Response(200, b"ok", TEXT_HEADERS)

    def _metrics(self, request: Request, info: RequestInfo) -> Answer:
        body = prometheus_text.render(metrics.families(self._server, GIT_VERSION))
        return Response(200, body, (("Content-Type", prometheus_text.CONTENT_TYPE),))

    def _jwks(self, request: Request, info: RequestInfo) -> Answer:
        headers = (("Content-Type", "application/jwk-set+json"),)
        return Response(200, orjson.dumps(self._server.tokens.jwks()), headers)

    def _openid(self, request: Request, info: RequestInfo) -> Answer:
        config = self._server.config
        where = f"https://{config.advertise_address}:{config.advertise_port}"
        return json_response(
            {
                "issuer": config.issuer,
                "jwks_uri": f"{where}/openid/v1/jwks",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }
        )


def json_response(document: Any, *, pretty: bool = False) -> Response:
    option = orjson.OPT_INDENT_2 if pretty else None
    return Response(200, orjson.dumps(document, option=option), JSON_HEADERS)


def _machine() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
