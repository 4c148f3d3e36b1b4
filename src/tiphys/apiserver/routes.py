"""Which verb and subresource serves a request of a resource.

Upstream: apiserver pkg/endpoints/installer.go.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tiphys.api.errors import BadRequest, MethodNotAllowed, NotFound, not_found
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.list_options import check_timeout
from tiphys.apiserver.verbs.binding import create_binding
from tiphys.apiserver.verbs.connect import (
    connect_attach,
    connect_exec,
    connect_port_forward,
    get_log,
)
from tiphys.apiserver.verbs.create import create
from tiphys.apiserver.verbs.delete import delete
from tiphys.apiserver.verbs.delete_collection import delete_collection
from tiphys.apiserver.verbs.eviction import create_eviction
from tiphys.apiserver.verbs.get import get
from tiphys.apiserver.verbs.list import list_
from tiphys.apiserver.verbs.patch import patch, patch_scale
from tiphys.apiserver.verbs.proxy import proxy
from tiphys.apiserver.verbs.reviews import (
    AUTHENTICATION,
    AUTHORIZATION,
    local_subject_access_review,
    self_subject_access_review,
    self_subject_review,
    self_subject_rules_review,
    subject_access_review,
    token_review,
)
from tiphys.apiserver.verbs.scale import get_scale, update_scale
from tiphys.apiserver.verbs.token import create_token
from tiphys.apiserver.verbs.update import update
from tiphys.apiserver.verbs.watch import watch
from tiphys.lib.http.message import Answer

Serve = Callable[[RequestContext], Answer | Awaitable[Answer]]

VERBS: Final[Mapping[str, Serve]] = {
    "get": get,
    "list": list_,
    "watch": watch,
    "create": create,
    "update": update,
    "patch": patch,
    "delete": delete,
    "deletecollection": delete_collection,
}
STATUS: Final[Mapping[str, Serve]] = {"get": get, "update": update, "patch": patch}
# (group, resource, subresource) -> verb -> who serves it; "*" stands for any resource.
SUBRESOURCES: Final[Mapping[tuple[str, str, str], Mapping[str, Serve]]] = {
    ("*", "*", "status"): STATUS,
    ("", "pods", "ephemeralcontainers"): STATUS,
    ("", "pods", "resize"): STATUS,
    ("certificates.k8s.io", "certificatesigningrequests", "approval"): STATUS,
    ("*", "*", "scale"): {"get": get_scale, "update": update_scale, "patch": patch_scale},
    ("", "pods", "binding"): {"create": create_binding},
    ("", "pods", "eviction"): {"create": create_eviction},
    ("", "namespaces", "finalize"): {"update": update},
    ("", "pods", "log"): {"get": get_log},
    ("", "pods", "exec"): {"get": connect_exec, "create": connect_exec},
    ("", "pods", "attach"): {"get": connect_attach, "create": connect_attach},
    ("", "pods", "portforward"): {"get": connect_port_forward, "create": connect_port_forward},
    ("*", "*", "proxy"): dict.fromkeys(("get", "create", "update", "patch", "delete"), proxy),
    ("", "serviceaccounts", "token"): {"create": create_token},
}
# Kinds that are asked and not stored.
CREATE_ONLY: Final[Mapping[tuple[str, str], Serve]] = {
    ("", "bindings"): create_binding,
    (AUTHORIZATION, "selfsubjectaccessreviews"): self_subject_access_review,
    (AUTHORIZATION, "subjectaccessreviews"): subject_access_review,
    (AUTHORIZATION, "localsubjectaccessreviews"): local_subject_access_review,
    (AUTHORIZATION, "selfsubjectrulesreviews"): self_subject_rules_review,
    (AUTHENTICATION, "selfsubjectreviews"): self_subject_review,
    (AUTHENTICATION, "tokenreviews"): token_review,
}
# Upstream pkg/controlplane/apiserver/config.go, LongRunningFunc.
LONG: Final = frozenset({"attach", "exec", "log", "portforward", "proxy"})
_NAMED: Final = frozenset({"get", "update", "patch", "delete"})


def _is_misplaced(ctx: RequestContext) -> bool:
    """A namespaced object asked for outside any namespace, or the other way round."""
    info = ctx.info
    if "/" in info.name or "/" in info.namespace:
        return True
    if not ctx.endpoint.info.namespaced:
        return bool(info.namespace) and not info.is_own_namespace
    named = info.verb in _NAMED or info.is_legacy_watch
    return not info.namespace and named and bool(info.name)


def _is_long(ctx: RequestContext) -> bool:
    """What may last has no deadline, and a proxy's query is not ours to read."""
    return ctx.info.verb == "watch" or ctx.info.subresource in LONG


def _has_names(ctx: RequestContext) -> bool:
    """Kinds that are only created have no single objects behind names."""
    return ctx.endpoint.info.verbs != ("create",)


def serve(ctx: RequestContext) -> Answer | Awaitable[Answer]:
    """Raises NotFound, MethodNotAllowed, and what the verb raises."""
    info = ctx.info
    if "timeout=" in ctx.request.query and not _is_long(ctx):
        check_timeout(ctx.params)
    if ctx.request.method == "HEAD":
        raise method_not_allowed()
    if _is_misplaced(ctx):
        raise no_such_resource()
    if info.subresource:
        return _subresource(ctx)
    if info.name and not _has_names(ctx):
        raise no_such_resource()
    if info.verb not in ctx.endpoint.info.verbs or info.verb not in VERBS:
        raise method_not_allowed()
    custom = ctx.endpoint.custom
    if custom is not None and info.verb in _NAMED and not info.name:
        raise BadRequest("name must be provided")
    if (info.verb in _NAMED and not info.name) or (
        info.verb == "create" and info.name and custom is None
    ):
        raise method_not_allowed()
    if info.verb == "create":
        special = CREATE_ONLY.get((info.group, info.resource))
        if special is not None:
            return special(ctx)
    if info.verb == "create" and ctx.endpoint.info.namespaced and not info.namespace:
        raise method_not_allowed()
    if custom is not None:
        if custom.deprecation:
            ctx.warnings.append(custom.deprecation)
        return VERBS[info.verb](ctx)
    deprecated = DEPRECATED.get((info.group, info.resource))
    if deprecated is not None:
        ctx.warnings.append(deprecated)
    return VERBS[info.verb](ctx)


DEPRECATED: Final[Mapping[tuple[str, str], str]] = {
    ("", "endpoints"): (
        "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    ),
    ("", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
}


def _subresource(ctx: RequestContext) -> Answer | Awaitable[Answer]:
    info, known = ctx.info, ctx.endpoint.info
    offered = known.subresources.get(info.subresource)
    if offered is None and ctx.endpoint.custom is not None:
        raise not_found(known.group, known.plural, info.name)
    if offered is None or (info.rest and info.subresource != "proxy"):
        raise no_such_resource()
    table = SUBRESOURCES.get((known.group, known.plural, info.subresource))
    if table is None:
        table = SUBRESOURCES.get(("*", "*", info.subresource), {})
    verb = table.get(info.verb)
    if ctx.endpoint.custom is not None and ctx.endpoint.custom.deprecation:
        ctx.warnings.append(ctx.endpoint.custom.deprecation)
    if verb is None:
        raise method_not_allowed()
    return verb(ctx)


def method_not_allowed() -> MethodNotAllowed:
    return MethodNotAllowed(
        "the server does not allow this method on the requested resource", details={}
    )


def no_such_resource() -> NotFound:
    return NotFound("the server could not find the requested resource", details={})
