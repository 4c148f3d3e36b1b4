"""The API server: a request goes through authentication, authorization, routing and a verb.

Each step is a look into a dictionary where it can be: a GET is answered without a coroutine.
Upstream: apiserver pkg/server/config.go (DefaultBuildHandlerChain).
"""

import random
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Final

from tiphys.api.errors import ApiError, BadRequest
from tiphys.api.meta import Obj
from tiphys.api.resources import GROUP_VERSIONS
from tiphys.apiserver.admission.chain import Chain
from tiphys.apiserver.admission.resource_quota import ResourceQuota
from tiphys.apiserver.aggregation.aggregation import Aggregation
from tiphys.apiserver.aggregation.availability import Availability
from tiphys.apiserver.aggregation.remote import Remote
from tiphys.apiserver.config import ApiServerConfig
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.custom_resources_loader import CustomResources
from tiphys.apiserver.documents import Documents
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.fairness.fairness import GROUP as FLOW_GROUP
from tiphys.apiserver.fairness.fairness import Fairness, Flow
from tiphys.apiserver.filters.authentication import Authenticator
from tiphys.apiserver.filters.authorization import (
    RbacAuthorizer,
    attributes_of,
    forbidden,
)
from tiphys.apiserver.filters.impersonation import Impersonation
from tiphys.apiserver.filters.node_authorization import Authorizer
from tiphys.apiserver.filters.service_account_tokens import ServiceAccountTokens
from tiphys.apiserver.freshness import prove_current, serve_fresh
from tiphys.apiserver.kubelet_target import kubelet_context
from tiphys.apiserver.metrics import Meter, RequestMetrics
from tiphys.apiserver.negotiation import is_plain
from tiphys.apiserver.number_pool import Reservation
from tiphys.apiserver.request_info import RequestInfo, parse_request
from tiphys.apiserver.responses import (
    JSON_HEADERS,
    error_response,
    failed_response,
    status_answer,
)
from tiphys.apiserver.routes import DEPRECATED, LONG, no_such_resource, serve
from tiphys.apiserver.service_addresses import ServiceAddresses
from tiphys.apiserver.service_claims import ServiceClaims
from tiphys.apiserver.service_ports import Ports
from tiphys.apiserver.turns import Turns
from tiphys.apiserver.user import User
from tiphys.apiserver.views import Views
from tiphys.apiserver.writes import raise_invalid, storage_failed
from tiphys.lib.clock import Clock
from tiphys.lib.http.message import (
    Answer,
    Request,
    Response,
    StreamResponse,
    UpgradeResponse,
    text_response,
)
from tiphys.storage.backend import StorageError
from tiphys.storage.store import Store
from tiphys.storage.watch_cache import WatchCache

if TYPE_CHECKING:  # Loaded only where there is a policy, or a definition.
    from tiphys.apiserver.custom_resources.definitions import Definitions
    from tiphys.apiserver.fairness.upkeep import FairnessUpkeep
    from tiphys.apiserver.filters.audit import Audit, Record
    from tiphys.apiserver.filters.oidc_keys import OidcKeys
    from tiphys.apiserver.filters.webhook_authorization import Unasked

_GROUPS: Final = frozenset(v.group for v in GROUP_VERSIONS)
ROUTES_MAX: Final = 8192  # Parsed request lines remembered.
ROUTE_CHARS_MAX: Final = 1024  # Longer ones are not: what is remembered stays below 16 MB.
AUDIT_ID: Final = "audit-id"  # A client may choose; upstream filters/with_auditid.go.
_IMPERSONATION: Final = frozenset(
    {"impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-a"}
)


class _Route:
    """What a request line means; kept, because the same ones come again and again."""

    __slots__ = (
        "_flow_generation",
        "_flow_user",
        "_generation",
        "_user",
        "asked",
        "cache",
        "endpoint",
        "flow",
        "has_flow",
        "info",
        "key",
        "meter",
        "remote",
    )

    def __init__(
        self,
        info: RequestInfo,
        endpoint: Endpoint | None,
        request: Request,
        *,
        remote: Remote | None,
        meter: Meter,
        is_shared: bool,
    ) -> None:
        self._user: User | None = None
        self._generation = -1
        self._flow_user: User | None = None
        self._flow_generation = -1
        self.flow: Flow | None = None
        # What lasts, but for watches, would hold its seat as long.
        self.has_flow = info.subresource not in LONG
        self.meter = meter
        self.info = info
        self.endpoint = endpoint
        self.remote = remote
        self.asked = attributes_of(info)
        self.cache: WatchCache | None = None
        self.key = ""
        if endpoint is None or request.method != "GET" or request.query or info.subresource:
            return
        if is_shared:
            return  # The cache must be proved current first.
        plain = info.verb == "get" and info.name and endpoint.conversion is None
        scoped = bool(info.namespace) == endpoint.info.namespaced or info.is_own_namespace
        if plain and scoped and (info.group, info.resource) not in DEPRECATED:
            self.cache = endpoint.cache
            self.key = endpoint.key(info.namespace, info.name)

    def is_allowed(self, user: User, authorizer: RbacAuthorizer) -> bool:
        """Who asked last is known to be allowed, and no rule has changed since."""
        return user is self._user and authorizer.generation == self._generation

    def remember(self, user: User, authorizer: RbacAuthorizer) -> None:
        self._user = user
        self._generation = authorizer.generation

    def flow_of(self, user: User, fairness: Fairness) -> Flow:
        """The flow of who asks now, which is also kept in `flow`."""
        flow = self.flow
        if (
            flow is None
            or user is not self._flow_user
            or (fairness.generation != self._flow_generation)
        ):
            flow = self.flow = fairness.flow_of(user, self.asked)
            self._flow_user = user
            self._flow_generation = fairness.generation
        return flow


class ApiServer:
    """Holds what requests need. `handle` is the handler of the HTTP server."""

    def __init__(
        self,
        config: ApiServerConfig,
        store: Store,
        endpoints: Mapping[tuple[str, str, str], Endpoint],
        authenticator: Authenticator,
        authorizer: Authorizer,
        tokens: ServiceAccountTokens,
        addresses: ServiceAddresses,
        admission: Chain,
        quota: ResourceQuota,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self.config = config
        self.store = store
        self.endpoints = dict(endpoints)
        self.authenticator = authenticator
        self.authorizer = authorizer
        self.impersonation = Impersonation(authorizer)
        self.tokens = tokens
        self.addresses = addresses
        self.admission = admission
        self.aggregation = Aggregation(config, endpoints)
        self.aggregation.changed.append(self._forget_routes)
        api_services = endpoints["apiregistration.k8s.io", "v1", "apiservices"]
        self.availability = Availability(self.aggregation, store, api_services, clock)
        self.quota = quota
        self.clock = clock
        self.turns = Turns()
        self.rng = rng
        self.claims = ServiceClaims(store, clock) if store.is_shared else None
        self.requests = RequestMetrics()
        self.fairness = Fairness(
            endpoints[FLOW_GROUP, "v1", "flowschemas"],
            endpoints[FLOW_GROUP, "v1", "prioritylevelconfigurations"],
            clock,
            config.max_requests_inflight + config.max_mutating_requests_inflight,
        )
        store.on_events(self.fairness.notice)
        self.views = Views(clock)
        self.custom_resources = CustomResources(self)
        self.on_kinds_changed: list[Callable[[], None]] = [self._forget_routes, self.views.forget]
        self.documents = Documents(self)
        self.audit: Audit | None = None
        self.upkeep: FairnessUpkeep | None = None
        self.oidc_keys: Sequence[OidcKeys] = ()
        self.is_ready = False
        self._is_shared = store.is_shared
        self._audit_ids = AuditIds(rng)
        self._lines = b""  # Headers that say which flow the request has that is looked at now.
        self._kubelet_tls: ssl.SSLContext | None = None
        self._routes: dict[tuple[str, str], _Route] = {}

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer one request; all errors become Status answers. Each answer has an Audit-Id."""
        began = perf_counter()
        route = self._routes.get((request.method, request.target)) or self._route(request)
        given = request.headers.get(AUDIT_ID)
        audit_id = given.encode() if given else self._audit_ids.next()
        self._lines = b""
        if self.audit is None:
            answer = self._looked_at(request, route, audit_id)
        else:
            answer = self._audited(self.audit, request, route, audit_id)
        lines = b"Audit-Id: %b\r\n%b" % (audit_id, self._lines)
        if isinstance(answer, (Response, StreamResponse, UpgradeResponse)):
            answer.own_headers = lines
            route.meter.observe(answer.status, perf_counter() - began)
            return answer
        return _identified(answer, lines, route.meter, began)

    def _audited(
        self, audit: "Audit", request: Request, route: _Route, audit_id: bytes
    ) -> Answer | Awaitable[Answer]:
        try:
            answer = self._looked_at(request, route, audit_id)
        except BaseException as error:
            audit.failed(request, error)
            raise
        if isinstance(answer, (Response, StreamResponse, UpgradeResponse)):
            audit.answered(request, route.info, audit_id, answer)
            return answer
        return _recorded(answer, audit, request, route.info, audit_id)

    def _looked_at(
        self, request: Request, route: _Route, audit_id: bytes
    ) -> Answer | Awaitable[Answer]:
        if self.authorizer.webhook is None:
            return self._handle(request, route, audit_id)
        from tiphys.apiserver.filters.webhook_authorization import Unasked

        try:
            found = self._handle(request, route, audit_id)
        except Unasked as unasked:
            return self._once_answered(request, route, audit_id, unasked)
        if isinstance(found, (Response, StreamResponse, UpgradeResponse)):
            return found
        return self._once_answered(request, route, audit_id, found)

    async def _once_answered(
        self,
        request: Request,
        route: _Route,
        audit_id: bytes,
        begun: "Awaitable[Answer] | Unasked",
    ) -> Answer:
        from tiphys.apiserver.filters.webhook_authorization import once_answered

        try:
            return await once_answered(lambda: self._handle(request, route, audit_id), begun)
        except ApiError as error:
            return error_response(error, request.headers.get("accept", ""))

    def _handle(
        self, request: Request, route: _Route, audit_id: bytes, *, again: bool = False
    ) -> Answer | Awaitable[Answer]:
        headers = request.headers
        record: Record | None = None
        flow: Flow | None = None
        try:
            user = self.authenticator.authenticate(request)
            if self.audit is not None:
                record = self.audit.begin(request, route.info, audit_id, user)
            if not _IMPERSONATION.isdisjoint(headers):
                user = self.impersonation.user_of(user, headers)
                if record is not None:
                    record.impersonated(user)
            if route.has_flow:
                flow = route.flow_of(user, self.fairness)
                flow.counts.dispatched += 1
                self._lines = flow.lines
            if record is not None or not route.is_allowed(user, self.authorizer):
                undecided = self._authorize(user, route, record)
                if undecided:
                    return failed_response(request.target, undecided)
        except ApiError as error:
            if self._is_shared and not again:
                # It may be allowed since a moment ago.
                return self._handle_fresh(request, route, audit_id)
            return error_response(error, headers.get("accept", ""))
        if route.key and route.cache:
            # The commonest request of all: one object as plain JSON.
            found = route.cache.objects.get(route.key)
            if found is not None and is_plain(
                headers.get("accept", ""), headers.get("user-agent", "")
            ):
                return Response(200, b"%b%b\n" % (route.cache.head, found.tail), JSON_HEADERS)
        if route.endpoint is None:
            work = self._without_endpoint(request, route, user)
            if flow is None or isinstance(work, (Response, StreamResponse, UpgradeResponse)):
                return work
            return self._seated(flow, route.info, 0, work)
        return self._serve(RequestContext(self, request, route.info, user, route.endpoint), flow)

    def _authorize(self, user: User, route: _Route, record: "Record | None") -> str:
        """Why it could not be decided, "" where the user may. Raises Forbidden, Unasked."""
        decision = self.authorizer.decide(user, route.asked)
        if record is not None:
            record.decided(decision)
        if not decision.allowed:
            if decision.error:
                return decision.error
            raise forbidden(user, route.asked, decision.reason)
        if user.decisions.get(route.asked) is decision:  # It lasts until a rule changes.
            route.remember(user, self.authorizer)
        return ""

    async def _handle_fresh(self, request: Request, route: _Route, audit_id: bytes) -> Answer:
        """Ask once more who may do what, on caches that are current."""
        try:
            await prove_current(self.store)
        except ApiError as error:
            return error_response(error)
        work = self._handle(request, route, audit_id, again=True)
        return await work if isinstance(work, Awaitable) else work

    def _serve(self, ctx: RequestContext, flow: Flow | None) -> Answer | Awaitable[Answer]:
        """What waits for something does so on a seat of its flow's level."""
        if self._is_shared:
            work: Answer | Awaitable[Answer] = serve_fresh(ctx)
        else:
            try:
                work = serve(ctx)
            except ApiError as error:
                return status_answer(ctx, error)
        if isinstance(work, (Response, StreamResponse, UpgradeResponse)):
            return work
        if flow is not None:
            work = self._seated(flow, ctx.info, len(ctx.endpoint.cache.objects), work)
        return _guarded(ctx, work)

    @property
    def definitions(self) -> "Definitions | None":
        """What serves custom resources; None while there are none."""
        return self.custom_resources.definitions

    def kinds_changed(self) -> None:
        """Endpoints are others than before."""
        for notice in self.on_kinds_changed:
            notice()

    def _seated(
        self, flow: Flow, info: RequestInfo, objects: int, work: Awaitable[Answer]
    ) -> Awaitable[Answer]:
        return work if flow.is_exempt else self.fairness.seated(flow, info.verb, objects, work)

    def _forget_routes(self) -> None:
        self._routes.clear()

    def _route(self, request: Request) -> _Route:
        info = parse_request(request.method, request.raw_path, request.query)
        remote = self.aggregation.of_path(request.raw_path)
        known = self.endpoints.get((info.group, info.version, info.resource))
        endpoint = known if remote is None else None
        meter = self.requests.meter_of(
            info, None if known is None else known.info, is_remote=remote is not None
        )
        if len(self._routes) >= ROUTES_MAX:
            self._routes.clear()
        route = _Route(
            info, endpoint, request, remote=remote, meter=meter, is_shared=self._is_shared
        )
        if len(request.target) <= ROUTE_CHARS_MAX:
            self._routes[request.method, request.target] = route
        return route

    def _without_endpoint(
        self, request: Request, route: _Route, user: User
    ) -> Answer | Awaitable[Answer]:
        """Another server's path, one that is no resource's, or a resource that nobody serves."""
        if route.remote is not None:
            return self.aggregation.forward(request, user, route.remote)
        if self._is_shared and route.info.is_resource:
            return self._once_defined(request, user)
        return self._unserved(request, route)

    async def _once_defined(self, request: Request, user: User) -> Answer:
        """Another server may have told of a definition that this one has not read yet."""
        try:
            await prove_current(self.store)
        except ApiError as error:
            return error_response(error)
        await self.custom_resources.settled()
        self._routes.pop((request.method, request.target), None)
        route = self._route(request)
        work = (
            self._unserved(request, route)
            if route.endpoint is None
            else self._serve(RequestContext(self, request, route.info, user, route.endpoint), None)
        )
        return await work if isinstance(work, Awaitable) else work

    def _unserved(self, request: Request, route: _Route) -> Answer | Awaitable[Answer]:
        info = route.info
        accept = request.headers.get("accept", "")
        try:
            found = self.documents.serve(request, info)
        except ApiError as error:
            return error_response(error, accept)
        if found is not None:
            return found
        first, group, *rest = [*info.path.removeprefix("/").rstrip("/").split("/"), "", ""]
        if (first == "api" and group) or (first == "apis" and group in _GROUPS and any(rest)):
            return error_response(no_such_resource(), accept)
        return text_response(404, "404 page not found\n")

    def allocate(
        self, ctx: RequestContext, new: Obj, old: Obj | None, reserved: Reservation
    ) -> None:
        """Addresses and ports of a Service, reserved for this write. Raises Invalid."""
        if ctx.endpoint.info.schema_type != "core.v1.Service" or ctx.info.subresource:
            return
        reserved.release()  # An earlier try's, on an older object.
        addresses = self.addresses
        ports: Ports = addresses.ports(reserved)
        if ctx.is_dry_run:
            # As upstream: what it might get, out of pools in which nothing is taken.
            ports = self.addresses.dry_ports()
            addresses = ServiceAddresses(addresses.network, self.config.node_ports, self.rng)
            addresses.ranges.more_of(self.addresses.ranges)
        raise_invalid(ctx.endpoint, new, addresses.allocate(new, old, reserved, ports))

    def kubelet_tls(self) -> ssl.SSLContext:
        """The context of connections to kubelets, made when first needed."""
        if self._kubelet_tls is None:
            self._kubelet_tls = kubelet_context(self.config)
        return self._kubelet_tls

    def endpoint_of(self, group: str, plural: str) -> Endpoint:
        """The v1 endpoint of a built-in resource."""
        return self.endpoints[group, "v1", plural]


class AuditIds:
    """UUIDs (version 4) of requests: random for each server, the last 48 bits count from there."""

    def __init__(self, rng: random.Random) -> None:
        text = f"{rng.getrandbits(80):020x}"
        head = f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-"
        self._form = head.encode() + b"%012x"
        self._count = rng.getrandbits(47)

    def next(self) -> bytes:
        self._count += 1
        return self._form % self._count


async def _identified(work: Awaitable[Answer], lines: bytes, meter: Meter, began: float) -> Answer:
    answer = await work
    meter.observe(answer.status, perf_counter() - began)
    answer.own_headers = lines
    return answer


async def _recorded(
    work: Awaitable[Answer], audit: "Audit", request: Request, info: RequestInfo, audit_id: bytes
) -> Answer:
    try:
        answer = await work
    except BaseException as error:
        audit.failed(request, error)
        raise
    audit.answered(request, info, audit_id, answer)
    return answer


async def _guarded(ctx: RequestContext, work: Awaitable[Answer]) -> Answer:
    try:
        return await work
    except ApiError as error:
        return status_answer(ctx, error)
    except StorageError as error:
        return status_answer(ctx, storage_failed(error))
    except RecursionError:  # Of what a client has sent: nothing of ours is that deep.
        return status_answer(ctx, BadRequest("the object is nested too deeply"))
