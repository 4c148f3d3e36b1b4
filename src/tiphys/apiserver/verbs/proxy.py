"""nodes, pods and services /proxy: any method, passed on.

Upstream: pkg/registry/core/*/rest, apimachinery pkg/util/net (SplitSchemeNamePort).
"""

import random
import ssl
from dataclasses import dataclass
from typing import Final

from tiphys.api import names
from tiphys.api.errors import BadRequest, InternalError, ServiceUnavailable, not_found
from tiphys.api.meta import Obj, at
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.kubelet_target import kubelet_target
from tiphys.apiserver.service_endpoints import ready_addresses, slices_of
from tiphys.apiserver.tunnel import UNREACHABLE, Target, pass_on
from tiphys.lib.http.message import Answer

_SCHEMES: Final = frozenset({"", "http", "https"})


@dataclass(frozen=True, slots=True)
class ProxyName:
    """`[scheme:]name[:port]`"""

    scheme: str
    name: str
    port: str


def split_name(text: str) -> ProxyName | None:
    parts = text.split(":")
    match parts:
        case [name]:
            found = ProxyName("", name, "")
        case [name, port]:
            found = ProxyName("", name, port)
        case [scheme, name, port]:
            found = ProxyName(scheme, name, port)
        case _:
            return None
    return found if found.name and found.scheme in _SCHEMES else None


async def proxy(ctx: RequestContext) -> Answer:
    """Raises NotFound, BadRequest, ServiceUnavailable."""
    kind = ctx.info.resource
    asked = split_name(ctx.name)
    if asked is None:
        raise BadRequest(f'invalid {kind.removesuffix("s")} request "{ctx.name}"')
    path = _path(ctx)
    if kind == "nodes":
        return await _pass_on(ctx, kubelet_target(ctx, asked.name, path))
    endpoint = ctx.endpoint
    cached = endpoint.cache.get(endpoint.key(ctx.namespace, asked.name))
    if cached is None:
        raise not_found("", kind, asked.name)
    obj = endpoint.decode(cached)
    if kind == "pods":
        host, port = _pod_address(obj, asked)
    else:
        host, port = _service_address(ctx, obj, asked)
    tls = _unverified() if asked.scheme == "https" else None
    return await _pass_on(ctx, Target(host, port, path, tls))


async def _pass_on(ctx: RequestContext, target: Target) -> Answer:
    """Who does not answer is no fault of this server. Raises ServiceUnavailable."""
    try:
        return await pass_on(ctx.request, target)
    except InternalError as error:
        why = error.message.removeprefix(UNREACHABLE)
        raise ServiceUnavailable(f"error trying to reach service: {why}") from error


def _path(ctx: RequestContext) -> str:
    """What follows `/proxy`, as the client wrote it."""
    raw, _, query = ctx.request.target.partition("?")
    # /api/v1/nodes/NAME/proxy has 6 parts before the rest, with a namespace 8.
    parts = raw.split("/", 6 if ctx.info.resource == "nodes" else 8)
    rest = parts[-1] if len(parts) > (6 if ctx.info.resource == "nodes" else 8) else ""
    return f"/{rest}?{query}" if query else f"/{rest}"


def _pod_address(pod: Obj, asked: ProxyName) -> tuple[str, int]:
    address = at(pod, "status", "podIP", default="")
    if not address:
        raise BadRequest("address not allowed")
    port = asked.port
    if not port:
        first = at(pod, "spec", "containers", 0, "ports", 0, "containerPort", default=80)
        return str(address), int(first)
    return str(address), _number(port, f'invalid pod request "{asked.name}:{port}"')


def _number(text: str, otherwise: str) -> int:
    number = names.port_of(text)
    if number is None:
        raise BadRequest(otherwise)
    return number


def _service_address(ctx: RequestContext, service: Obj, asked: ProxyName) -> tuple[str, int]:
    """One ready endpoint behind the port asked for, by name or number."""
    ports = at(service, "spec", "ports", default=[])
    wanted = next(
        (p for p in ports if asked.port in {p.get("name", ""), str(p.get("port", ""))}), None
    )
    if wanted is None and not asked.port and len(ports) == 1:
        wanted = ports[0]
    unavailable = f'no endpoints available for service "{ctx.name}"'
    if wanted is None:
        raise ServiceUnavailable(f'no service port "{asked.port}" found for service "{asked.name}"')
    slices = ctx.server.endpoint_of("discovery.k8s.io", "endpointslices")
    found = [
        address
        for slice_ in slices_of(slices, ctx.namespace, asked.name)
        for address in ready_addresses(slice_, wanted.get("name", ""))
    ]
    if not found:
        raise ServiceUnavailable(unavailable)
    return random.choice(found)


def _unverified() -> ssl.SSLContext:
    """Pods' certificates are of no authority that we know; upstream does not verify them either."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
