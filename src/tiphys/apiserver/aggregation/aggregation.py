"""Which groups others serve, and requests for them passed on with the user's name.

Follows the APIServices in the store; a look into a dictionary decides for each request.
Upstream: kube-aggregator pkg/apiserver (apiserver.go, handler_proxy.go, resolvers.go).
"""

import random
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from tiphys.api.errors import ApiError, ServiceUnavailable
from tiphys.api.meta import Obj, at
from tiphys.apiserver.aggregation.remote import Remote, remote_of, tls_context
from tiphys.apiserver.config import ApiServerConfig
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.service_endpoints import ready_addresses, slices_of
from tiphys.apiserver.tunnel import Target, pass_on
from tiphys.apiserver.user import User
from tiphys.lib.http.message import Answer, Headers, Request, text_response
from tiphys.storage.backend import Event
from tiphys.storage.store import resource_prefix

GROUP: Final = "apiregistration.k8s.io"
API_SERVICES: Final = resource_prefix(GROUP, "apiservices")
CONTEXTS_MAX: Final = 64  # TLS contexts kept; each costs about 50 KB.
Endpoints = Mapping[tuple[str, str, str], Endpoint]


class Unresolved(Exception):
    """The Service leads nowhere: the condition's reason and message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Aggregation:
    """See the module. `changed` is called when the groups or their state are others than before."""

    def __init__(self, config: ApiServerConfig, endpoints: Endpoints) -> None:
        self._config = config
        self._api_services = endpoints[GROUP, "v1", "apiservices"]
        self._services = endpoints["", "v1", "services"]
        self._slices = endpoints["discovery.k8s.io", "v1", "endpointslices"]
        self._contexts: dict[tuple[bytes, bool], ssl.SSLContext] = {}
        self.remotes: dict[tuple[str, str], Remote] = {}
        self.changed: list[Callable[[], None]] = []
        self._load()

    def _load(self) -> None:
        decoded = (self._api_services.decode(c) for c in self._api_services.cache.objects.values())
        remotes = (remote_of(api_service) for api_service in decoded)
        self.remotes = {r.key: r for r in remotes if r is not None}

    def follow(self, events: Sequence[Event]) -> None:
        """A listener of the store."""
        if any(event.key.startswith(API_SERVICES) for event in events):
            before = self.remotes
            self._load()
            if self.remotes != before:
                for notice in self.changed:
                    notice()

    def of_path(self, raw_path: str) -> Remote | None:
        """Who serves `/apis/GROUP/VERSION` and what is below it, where it is not we."""
        if not self.remotes:
            return None
        parts = raw_path.split("/", 4)
        if len(parts) < 4 or parts[1] != "apis":
            return None
        return self.remotes.get((parts[2], parts[3]))

    async def forward(self, request: Request, user: User, remote: Remote) -> Answer:
        """The other server's answer, watches and upgraded streams too."""
        if not remote.is_available:
            return text_response(503, "service unavailable\n")
        try:
            return await pass_on(request, self.target(remote, request.target, user))
        except Unresolved:
            return text_response(503, "service unavailable\n")
        except ApiError as error:
            return text_response(503, f"error trying to reach service: {error.message}\n")

    def target(self, remote: Remote, path: str, user: User) -> Target:
        """Raises Unresolved; ServiceUnavailable for an authority that is none."""
        host, port = random.choice(self.resolve(remote))
        headers = user_headers(user)
        return Target(host, port, path, self._tls(remote), remote.server_name, headers)

    def resolve(self, remote: Remote) -> list[tuple[str, int]]:
        """Where the server is: at least one (address, port). Raises Unresolved."""
        cached = self._services.cache.get(self._services.key(remote.namespace, remote.service))
        if cached is None:
            where = f'service/{remote.service} in "{remote.namespace}"'
            raise Unresolved("ServiceNotFound", f"{where} is not present")
        service = self._services.decode(cached)
        slices = slices_of(self._slices, remote.namespace, remote.service)
        return addresses(remote, service, slices)

    def _tls(self, remote: Remote) -> ssl.SSLContext:
        key = (remote.authority, remote.insecure)
        found = self._contexts.get(key)
        if found is None:
            cert, secret = self._config.proxy_client_cert, self._config.proxy_client_key
            try:
                found = tls_context(remote, cert, secret)
            except (OSError, ssl.SSLError) as error:
                name = f"{remote.version}.{remote.group}"
                raise ServiceUnavailable(f"caBundle of APIService {name}: {error}") from error
            if len(self._contexts) >= CONTEXTS_MAX:
                self._contexts.clear()
            self._contexts[key] = found
        return found


def addresses(remote: Remote, service: Obj, slices: Sequence[Obj]) -> list[tuple[str, int]]:
    """(address, port) of the server; one at least. Raises Unresolved."""
    where = f'service/{remote.service} in "{remote.namespace}"'
    if at(service, "spec", "type") == "ExternalName":
        return [(str(at(service, "spec", "externalName", default="")), remote.port)]
    ports = at(service, "spec", "ports", default=[])
    port = next((p for p in ports if p.get("port") == remote.port), None)
    if port is None:
        raise Unresolved("ServicePortError", f"{where} is not listening on port {remote.port}")
    if not slices:
        raise Unresolved("EndpointsNotFound", f"cannot find endpointslices for {where}")
    name = port.get("name") or ""
    found = [address for slice_ in slices for address in ready_addresses(slice_, name)]
    if not found:
        text = f'endpointslices for {where} have no addresses with port name "{name}"'
        raise Unresolved("MissingEndpoints", text)
    return found


def user_headers(user: User) -> Headers:
    """Whom the request is from. Source: kubernetes.io/docs, "Configure the Aggregation Layer"."""
    found = [("X-Remote-User", user.name)]
    if user.uid:
        found.append(("X-Remote-Uid", user.uid))
    found += [("X-Remote-Group", group) for group in user.groups]
    found += [
        (f"X-Remote-Extra-{quote(key, safe='')}", value)
        for key, values in user.extra.items()
        for value in values
    ]
    return tuple(found)
