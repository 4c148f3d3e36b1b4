"""One request on its way through the server: who asks, for what, and in which form to answer."""

from typing import TYPE_CHECKING, Final

from tiphys.api.errors import BadRequest
from tiphys.api.meta import Obj
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.list_options import query_of
from tiphys.apiserver.negotiation import (
    NO_TABLES,
    OF_CUSTOM,
    PRODUCED,
    VIEWS,
    MediaType,
    Scope,
    error_media,
    negotiate,
    wants_pretty,
)
from tiphys.apiserver.request_info import RequestInfo
from tiphys.apiserver.user import User
from tiphys.lib.http.message import Request

if TYPE_CHECKING:
    from tiphys.apiserver.server import ApiServer


# Subresources that are no Table in anybody's words.
_WITHOUT_TABLES: Final = frozenset(
    {"approval", "binding", "ephemeralcontainers", "eviction", "finalize", "resize", "token"}
)


class RequestContext:
    """See the module. `endpoint` is there for every request of a resource."""

    __slots__ = (
        "_params",
        "applies",
        "endpoint",
        "given",
        "info",
        "request",
        "server",
        "user",
        "warnings",
    )

    def __init__(
        self,
        server: "ApiServer",
        request: Request,
        info: RequestInfo,
        user: User,
        endpoint: Endpoint,
    ) -> None:
        self.server = server
        self.request = request
        self.info = info
        self.user = user
        self.endpoint = endpoint
        self.warnings: list[str] = []
        self.applies = False  # Who has which field is settled by the apply itself.
        self.given: Obj | None = None  # The body, or what a patch made, as it was written.
        self._params: dict[str, list[str]] | None = None

    @property
    def params(self) -> dict[str, list[str]]:
        """The query's parameters. Raises BadRequest."""
        if self._params is None:
            self._params = query_of(self.request)
        return self._params

    def param(self, name: str) -> str:
        return self.params.get(name, [""])[0]

    def media(self, scope: Scope = "object", views: frozenset[str] = VIEWS) -> MediaType:
        """The negotiated form of the answer. Raises NotAcceptable."""
        is_custom = self.endpoint.custom is not None and self.info.subresource != "scale"
        produced = OF_CUSTOM if is_custom else PRODUCED
        subresource = self.info.subresource
        if subresource and (
            subresource in _WITHOUT_TABLES
            or (subresource == "status" and not self.endpoint.resource.has_status_table)
        ):
            views = views & NO_TABLES
        accept = self.request.headers.get("accept", "")
        return negotiate(accept, scope, views=views, produced=produced)

    def error_media(self) -> MediaType:
        """The form for an error: what the client wants if possible, JSON otherwise."""
        return error_media(self.request.headers.get("accept", ""))

    def pretty(self, media: MediaType) -> bool:
        try:
            given = self.params.get("pretty") if self.request.query else None
        except BadRequest:  # Which is then what the answer is about.
            given = None
        agent = self.request.headers.get("user-agent", "")
        return wants_pretty(media, given[0] if given else None, agent)

    @property
    def namespace(self) -> str:
        return self.info.namespace

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def key(self) -> str:
        return self.endpoint.key(self.info.namespace, self.info.name)

    @property
    def is_dry_run(self) -> bool:
        return bool(self.params.get("dryRun")) if self.request.query else False
