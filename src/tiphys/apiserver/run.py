"""Puts the API server together and runs it until cancelled.

Order at stop: not ready, watches told, listeners closed, answers ended, store closed.
"""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from tiphys.api.errors import ApiError, BadRequest, InternalError, RequestEntityTooLarge
from tiphys.api.resources import GROUP_VERSIONS, GroupVersionInfo, ResourceInfo
from tiphys.api.resources import RESOURCES as RESOURCE_INFOS
from tiphys.apiserver.admission.certificate_approval import CertificateApproval
from tiphys.apiserver.admission.certificate_signing import CertificateSigning
from tiphys.apiserver.admission.certificate_subject_restriction import CertificateSubjectRestriction
from tiphys.apiserver.admission.chain import Chain, Plugin
from tiphys.apiserver.admission.default_ingress_class import DefaultIngressClass
from tiphys.apiserver.admission.default_storage_class import DefaultStorageClass
from tiphys.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from tiphys.apiserver.admission.limit_ranger import LimitRanger
from tiphys.apiserver.admission.mutating_admission_policy import MutatingAdmissionPolicy
from tiphys.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from tiphys.apiserver.admission.node_restriction import NodeRestriction
from tiphys.apiserver.admission.persistent_volume_claim_resize import PersistentVolumeClaimResize
from tiphys.apiserver.admission.pod_resize_validator import PodResizeValidator
from tiphys.apiserver.admission.pod_security import PodSecurity
from tiphys.apiserver.admission.pod_topology_labels import PodTopologyLabels
from tiphys.apiserver.admission.priority import Priority
from tiphys.apiserver.admission.resource_quota import ResourceQuota
from tiphys.apiserver.admission.runtime_class import RuntimeClass
from tiphys.apiserver.admission.service_account import ServiceAccount
from tiphys.apiserver.admission.storage_object_in_use_protection import (
    StorageObjectInUseProtection,
)
from tiphys.apiserver.admission.validating_admission_policy import (
    ValidatingAdmissionPolicy,
)
from tiphys.apiserver.aggregation.remote_resources import group_versions, resources
from tiphys.apiserver.announcement import announced
from tiphys.apiserver.bootstrap import Bootstrap
from tiphys.apiserver.config import ALWAYS_ALLOW, ApiServerConfig
from tiphys.apiserver.conversions import CONVERSIONS
from tiphys.apiserver.discovery_routes import DiscoveryRoutes, Served
from tiphys.apiserver.documents import GIT_VERSION
from tiphys.apiserver.endpoint import Endpoint, add_endpoint
from tiphys.apiserver.fairness.fairness import GROUP as FLOW_GROUP
from tiphys.apiserver.fairness.upkeep import LEVELS, SCHEMAS, FairnessUpkeep
from tiphys.apiserver.filters.authentication import Authenticator
from tiphys.apiserver.filters.authorization import RBAC_GROUP
from tiphys.apiserver.filters.bootstrap_tokens import BootstrapTokens
from tiphys.apiserver.filters.node_authorization import Authorizer, NodeAuthorizer
from tiphys.apiserver.filters.node_graph import NodeGraph
from tiphys.apiserver.filters.rbac_bootstrap import RbacObjects, bootstrap_objects
from tiphys.apiserver.filters.request_header import RequestHeaderAuthenticator
from tiphys.apiserver.filters.service_account_tokens import ServiceAccountTokens
from tiphys.apiserver.open_store import encrypting, open_store
from tiphys.apiserver.openapi_routes import OpenApiRoutes
from tiphys.apiserver.resources.registry import RESOURCES
from tiphys.apiserver.responses import error_response
from tiphys.apiserver.server import ApiServer
from tiphys.apiserver.service_addresses import ServiceAddresses
from tiphys.lib import tls
from tiphys.lib.clock import Clock, SystemClock
from tiphys.lib.http.message import Response
from tiphys.lib.http.server import HttpServer
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.storage.backend import Backend, StorageError
from tiphys.storage.store import Store

if TYPE_CHECKING:
    from tiphys.apiserver.filters.audit import Audit
    from tiphys.apiserver.filters.authentication_config import AuthenticationConfig
    from tiphys.apiserver.filters.oidc import Issuer, OidcTokens
    from tiphys.apiserver.filters.oidc_keys import OidcKeys
    from tiphys.apiserver.filters.static_tokens import StaticTokens
    from tiphys.apiserver.filters.webhook_authorization import WebhookAuthorizer

log = logging.getLogger(__name__)

STOP_SECONDS: Final = 5.0
_BOUND_OBJECTS: Final = ("serviceaccounts", "pods", "nodes", "secrets")
_CORE: Final = ("namespaces", "serviceaccounts", "pods", "limitranges", "nodes")
_RBAC: Final = ("roles", "rolebindings", "clusterroles", "clusterrolebindings")


async def run(config: ApiServerConfig) -> None:
    """Serve until cancelled. Raises StorageError when the store fails, OSError for an address."""
    clock = SystemClock()
    backend = await open_store(config, clock)
    try:
        server = await build(config, backend, clock, random.SystemRandom())
        async with serving(config, server), announced(config, server):
            await backend.failed.wait()
            raise StorageError("the store failed; starting again reads what it holds")
    finally:
        await backend.close()


async def build(
    config: ApiServerConfig,
    backend: Backend,
    clock: Clock,
    rng: random.Random,
    roles: RbacObjects | None = None,
) -> ApiServer:
    """A server over a backend, with its caches filled and the first objects written.

    roles: what `bootstrap_objects` gives, where many servers of one process share it.
    """
    sealed = encrypting(config, backend)
    store = Store(backend if sealed is None else sealed)
    endpoints = make_endpoints(store)
    await store.start()
    if sealed is not None:
        await sealed.rewrite_stale()
    roles = roles or bootstrap_objects()
    authorizer = _authorizer(config, store, endpoints, roles, clock, rng)
    tokens = ServiceAccountTokens.from_file(
        config.service_account_key,
        config.issuer,
        {p: endpoints["", "v1", p].cache for p in _BOUND_OBJECTS},
        clock,
        rng,
    )
    addresses = ServiceAddresses(config.service_network, config.node_ports, rng)
    bootstrap = Bootstrap(store, endpoints, clock, rng)
    await bootstrap.run(config, addresses.api_server, roles)
    upkeep = await _flow_upkeep(store, endpoints, bootstrap, clock)
    _follow_services(store, endpoints, addresses)
    quota = ResourceQuota(endpoints["", "v1", "resourcequotas"].cache, store, clock)
    authenticator, oidc_keys = _authenticator(config, endpoints, tokens, clock)
    policies = admission_policies(endpoints, authorizer)
    server = ApiServer(
        config,
        store,
        endpoints,
        authenticator,
        authorizer,
        tokens,
        addresses,
        Chain([*admission_plugins(endpoints, authorizer, rng), *policies, quota]),
        quota,
        clock,
        rng,
    )
    for plugin in policies:
        plugin.endpoints = server.endpoints  # With those of custom resources.
    for follower in (server.aggregation, server.availability, server.custom_resources):
        store.on_events(follower.follow)
    server.audit = audit_of(config, clock)
    _serve_documents(server)
    server.upkeep = upkeep
    server.oidc_keys = oidc_keys
    await server.custom_resources.start()
    server.is_ready = True
    return server


def _authorizer(
    config: ApiServerConfig,
    store: Store,
    endpoints: Mapping[tuple[str, str, str], Endpoint],
    roles: RbacObjects,
    clock: Clock,
    rng: random.Random,
) -> Authorizer:
    """Raises ValueError, KubeconfigError."""
    made = Authorizer({p: endpoints[RBAC_GROUP, "v1", p].cache for p in _RBAC})
    made.nodes = _node_authorizer(store, endpoints, roles)
    made.allows_all = config.authorization_modes == ALWAYS_ALLOW
    made.webhook = _webhook_of(config, clock, rng)
    store.on_events(made.notice)
    return made


def _authenticator(
    config: ApiServerConfig,
    endpoints: Mapping[tuple[str, str, str], Endpoint],
    tokens: ServiceAccountTokens,
    clock: Clock,
) -> "tuple[Authenticator, Sequence[OidcKeys]]":
    """With those who fetch the issuers' keys. Raises ValueError, OSError."""
    authentication = _issuers_of(config)
    oidc, oidc_keys = _oidc_of(authentication.issuers if authentication else (), clock)
    made = Authenticator(
        tls.LeafVerifier.from_file(config.client_ca),
        tokens,
        clock,
        front_proxy(config, clock),
        BootstrapTokens(endpoints["", "v1", "secrets"].cache, clock),
        oidc,
        _static_tokens_of(config),
        authentication.anonymous_paths if authentication else None,
    )
    return made, oidc_keys


def _serve_documents(server: ApiServer) -> None:
    """Discovery and OpenAPI."""
    where = f"{server.config.advertise_address}:{server.config.advertise_port}"
    DiscoveryRoutes(where, lambda: served_by(server)).add_to(server.documents)
    open_api = OpenApiRoutes(GIT_VERSION, server)
    open_api.add_to(server.documents)
    server.on_kinds_changed.append(open_api.forget)


def _follow_services(
    store: Store, endpoints: Mapping[tuple[str, str, str], Endpoint], addresses: ServiceAddresses
) -> None:
    """What Services hold already, of which ranges, and every change of both."""
    services = endpoints["", "v1", "services"]
    addresses.load([services.decode(c) for c in services.cache.objects.values()])
    store.on_events(addresses.follow)
    cidrs = endpoints["networking.k8s.io", "v1", "servicecidrs"]
    addresses.ranges.load({c.key: cidrs.decode(c) for c in cidrs.cache.objects.values()})
    store.on_events(addresses.ranges.follow)


async def _flow_upkeep(
    store: Store,
    endpoints: Mapping[tuple[str, str, str], Endpoint],
    bootstrap: Bootstrap,
    clock: Clock,
) -> FairnessUpkeep:
    """Flow schemas and levels as they must be, now and after every change."""
    objects = {plural: endpoints[FLOW_GROUP, "v1", plural] for plural in (SCHEMAS, LEVELS)}
    upkeep = FairnessUpkeep(store, objects, bootstrap, clock)
    await upkeep.put_right()
    store.on_events(upkeep.notice)
    return upkeep


def _webhook_of(
    config: ApiServerConfig, clock: Clock, rng: random.Random
) -> "WebhookAuthorizer | None":
    """Raises ValueError, KubeconfigError."""
    if "Webhook" not in config.authorization_modes:
        return None
    from tiphys.apiserver.filters.webhook_authorization import webhook_of

    return webhook_of(config, clock, rng)


def _issuers_of(config: ApiServerConfig) -> "AuthenticationConfig | None":
    """Of a file, or one of flags; None for neither. Raises ValueError, OSError."""
    if not config.oidc_issuer_url and config.authentication_config is None:
        return None
    from tiphys.apiserver.filters import authentication_config
    from tiphys.apiserver.filters.oidc import config_of

    if config.authentication_config is None:
        return authentication_config.AuthenticationConfig((config_of(config).issuer(),))
    if config.oidc_issuer_url:
        raise ValueError("authentication-config file and oidc-* flags are mutually exclusive")
    return authentication_config.read(config.authentication_config, [config.issuer])


def _oidc_of(
    issuers: "Sequence[Issuer]", clock: Clock
) -> "tuple[list[OidcTokens], list[OidcKeys]]":
    """Whose ID tokens are believed, and who fetches the issuers' keys."""
    if not issuers:
        return [], []
    from tiphys.apiserver.filters.oidc import Keys, OidcTokens
    from tiphys.apiserver.filters.oidc_keys import OidcKeys

    pairs = [(issuer, Keys()) for issuer in issuers]
    return (
        [OidcTokens(issuer, keys, clock) for issuer, keys in pairs],
        [OidcKeys(issuer, keys, clock) for issuer, keys in pairs],
    )


def _static_tokens_of(config: ApiServerConfig) -> "StaticTokens | None":
    """Raises ValueError, OSError."""
    if config.token_auth_file is None:
        return None
    from tiphys.apiserver.filters import static_tokens

    return static_tokens.read(config.token_auth_file)


def audit_of(config: ApiServerConfig, clock: Clock) -> "Audit | None":
    """Raises PolicyError for a policy that cannot be used, OSError for a log."""
    if config.audit_policy is None or config.audit_log is None:
        return None
    from tiphys.apiserver.audit import policy
    from tiphys.apiserver.audit.log_file import AuditLogFile
    from tiphys.apiserver.filters.audit import Audit

    return Audit(policy.load(config.audit_policy), AuditLogFile(config.audit_log, clock), clock)


def served_by(server: ApiServer) -> Served:
    """Our own groups, those of definitions, and those of other servers that are available."""
    remotes, custom = server.aggregation.remotes, server.definitions
    versions: Sequence[GroupVersionInfo] = GROUP_VERSIONS
    infos: Sequence[ResourceInfo] = RESOURCE_INFOS
    if custom is not None:
        versions, infos = [*versions, *custom.group_versions()], [*infos, *custom.infos()]
    if not remotes:
        return Served(versions, infos)
    available = {key for key, remote in remotes.items() if remote.is_available}
    found = server.availability.documents
    documents = {key: found[key] for key in found if key in available}
    return Served(group_versions(versions, remotes.values()), resources(infos, documents))


def front_proxy(config: ApiServerConfig, clock: Clock) -> RequestHeaderAuthenticator | None:
    """Raises OSError or ValueError for an authority that cannot be read."""
    if config.requestheader_ca is None:
        return None
    proxies = tls.LeafVerifier.from_file(config.requestheader_ca)
    return RequestHeaderAuthenticator(proxies, config.requestheader, clock)


def _node_authorizer(
    store: Store, endpoints: Mapping[tuple[str, str, str], Endpoint], roles: RbacObjects
) -> NodeAuthorizer:
    graph = NodeGraph()
    pods = endpoints["", "v1", "pods"]
    graph.load([pods.decode(c) for c in pods.cache.objects.values()])
    store.on_events(graph.follow)
    rules = next(
        r["rules"] for r in roles["clusterroles"] if r["metadata"]["name"] == "system:node"
    )
    return NodeAuthorizer(graph, endpoints["", "v1", "persistentvolumes"].cache, rules)


def make_endpoints(store: Store) -> dict[tuple[str, str, str], Endpoint]:
    found: dict[tuple[str, str, str], Endpoint] = {}
    for key, resource in RESOURCES.items():
        if key not in CONVERSIONS:
            found[key] = add_endpoint(store, resource)
    for key, conversion in CONVERSIONS.items():
        stored = found[conversion.group, conversion.version, conversion.plural]
        found[key] = Endpoint(RESOURCES[key], stored.cache, conversion)
    return found


def admission_policies(
    endpoints: Mapping[tuple[str, str, str], Endpoint], authorizer: Authorizer
) -> list[MutatingAdmissionPolicy | ValidatingAdmissionPolicy]:
    """What users' policies say, behind all other plugins but ResourceQuota."""
    known = dict(endpoints)
    return [
        MutatingAdmissionPolicy(known, authorizer),
        ValidatingAdmissionPolicy(known, authorizer),
    ]


def admission_plugins(
    endpoints: Mapping[tuple[str, str, str], Endpoint],
    authorizer: Authorizer,
    rng: random.Random,
) -> list[Plugin]:
    """In upstream's order; policies and ResourceQuota, which come last, are apart."""
    core = {p: endpoints["", "v1", p].cache for p in _CORE}
    classes = endpoints["scheduling.k8s.io", "v1", "priorityclasses"].cache
    storage_classes = endpoints["storage.k8s.io", "v1", "storageclasses"].cache
    ingress_classes = endpoints["networking.k8s.io", "v1", "ingressclasses"].cache
    return [
        NamespaceLifecycle(core["namespaces"]),
        LimitRanger(core["limitranges"]),
        ServiceAccount(core["serviceaccounts"], rng),
        NodeRestriction(core["pods"]),
        PodSecurity(core["namespaces"], core["pods"]),
        Priority(classes),
        DefaultTolerationSeconds(),
        DefaultStorageClass(storage_classes),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(storage_classes),
        RuntimeClass(endpoints["node.k8s.io", "v1", "runtimeclasses"].cache),
        CertificateApproval(authorizer),
        CertificateSigning(authorizer),
        CertificateSubjectRestriction(),
        DefaultIngressClass(ingress_classes),
        PodTopologyLabels(core["nodes"]),
        PodResizeValidator(core["nodes"]),
    ]


class serving:
    """Listens while the block runs."""

    def __init__(self, config: ApiServerConfig, server: ApiServer) -> None:
        self._config = config
        self._server = server
        authorities = [config.client_ca]
        if config.requestheader_ca is not None:
            authorities.append(config.requestheader_ca)
        context = tls.server_context(config.tls_cert, config.tls_key, authorities)
        tls.offer_http2(context)
        self._http = HttpServer(server.handle, tls=context, error_response=error_answer)
        self._tasks = TaskSet()
        self.ports: list[int] = []

    async def __aenter__(self) -> "serving":
        for host, port in self._config.addresses:
            self.ports.append(await self._http.listen(host, port))
        log.info("serving", extra={"addresses": self._config.addresses})
        custom = self._server.custom_resources.run
        self._tasks.start(keep_running("CustomResourceDefinitions", custom), "definitions")
        check = self._server.availability.run
        self._tasks.start(keep_running("APIServices", check), "APIServices")
        if self._server.upkeep is not None:
            upkeep = keep_running("priority and fairness", self._server.upkeep.run)
            self._tasks.start(upkeep, "priority and fairness")
        for keys in self._server.oidc_keys:
            fetch = keep_running("OpenID Connect keys", keys.run)
            self._tasks.start(fetch, "OpenID Connect keys")
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.is_ready = False
        await self._tasks.close()
        await asyncio.shield(self._http.stop(STOP_SECONDS))
        self._server.fairness.close()
        if self._server.claims is not None:
            await self._server.claims.close()
        if self._server.audit is not None:
            self._server.audit.close()


def error_answer(status: int, why: str) -> Response:
    """The answers that the HTTP server itself gives, as Status."""
    error: ApiError
    if status == 413:
        error = RequestEntityTooLarge(f"Request entity too large: {why}")
    elif status == 500:
        error = InternalError(f"Internal error occurred: {why}")
    else:
        error = BadRequest(why, code=status)
    return error_response(error)
