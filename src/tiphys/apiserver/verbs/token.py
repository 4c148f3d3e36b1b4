"""TokenRequest: a token for a service account, bound to a pod, node or secret if asked.

Upstream: pkg/registry/core/serviceaccount/storage/token.go, pkg/apis/authentication/validation.
"""

from datetime import UTC, datetime
from typing import Final

from tiphys.api.errors import BadRequest, conflict, not_found
from tiphys.api.field_errors import FieldError, invalid, invalid_object
from tiphys.api.meta import GroupVersionKind, Obj, at, rfc3339, uid_of
from tiphys.apiserver.bodies import read_object
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.object_meta import set_namespace
from tiphys.apiserver.responses import document_answer
from tiphys.apiserver.verbs.get import stored
from tiphys.apiserver.verbs.options import check_write_options
from tiphys.apiserver.writes import admit
from tiphys.lib.http.message import Answer

KIND: Final = GroupVersionKind("authentication.k8s.io", "v1", "TokenRequest")
SECONDS_DEFAULT: Final = 3600
SECONDS_MIN: Final = 600
SECONDS_MAX: Final = 1 << 32
_BOUND: Final = {"Pod": ("pod", "pods"), "Secret": ("secret", "secrets"), "Node": ("node", "nodes")}


async def create_token(ctx: RequestContext) -> Answer:
    """Raises NotFound, Invalid, Conflict, BadRequest."""
    ctx.media()
    check_write_options(ctx, "CreateOptions")
    request = read_object(ctx, KIND)
    _check_names(ctx, request["metadata"])
    account = ctx.endpoint.decode(stored(ctx))
    _check_uid(ctx, request["metadata"], account)
    spec = request.setdefault("spec", {})
    if spec.get("expirationSeconds") is None:
        spec["expirationSeconds"] = SECONDS_DEFAULT
    spec["audiences"] = spec.get("audiences") or [ctx.server.tokens.issuer]
    errors = _validate(spec)
    if errors:
        raise invalid_object(KIND.group, KIND.kind, "", errors)
    admit(ctx, "CREATE", request)
    bound = _bound_object(ctx, account, spec.get("boundObjectRef"))
    token, ends = ctx.server.tokens.sign(
        account, spec["audiences"], spec["expirationSeconds"], bound
    )
    request["metadata"] |= {
        **{field: account["metadata"][field] for field in ("name", "namespace", "uid")},
        "creationTimestamp": rfc3339(ctx.server.clock.now()),
    }
    when = rfc3339(datetime.fromtimestamp(ends, UTC))
    request["status"] = {"token": token, "expirationTimestamp": when}
    return document_answer(ctx, 201, request)


def _check_names(ctx: RequestContext, metadata: Obj) -> None:
    """What the request says of itself must be the account's. Raises Invalid, BadRequest."""
    set_namespace(metadata, ctx.namespace, namespaced=True)
    name = metadata.get("name", "")
    if name and name != ctx.name:
        text = "must match the service account name if specified"
        error = invalid("metadata.name", name, text)
        raise invalid_object(KIND.group, KIND.kind, ctx.name, [error])


def _check_uid(ctx: RequestContext, metadata: Obj, account: Obj) -> None:
    """Raises Conflict for a request that means an account of before."""
    uid = metadata.get("uid", "")
    if uid and uid != uid_of(account):
        why = (
            f"the UID in the token request ({uid}) does not match the UID of the service account"
            f" ({uid_of(account)})"
        )
        raise conflict(KIND.group, KIND.kind, ctx.name, why)


def _validate(spec: Obj) -> list[FieldError]:
    seconds, path = spec["expirationSeconds"], "spec.expirationSeconds"
    if seconds < SECONDS_MIN:
        return [invalid(path, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > SECONDS_MAX:
        return [invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []


def _bound_object(ctx: RequestContext, account: Obj, ref: Obj | None) -> dict[str, Obj]:
    """What the token is bound to, by its claim's name; a pod's node comes along."""
    if not ref:
        return {}
    kind, version = ref.get("kind", ""), ref.get("apiVersion", "")
    if kind not in _BOUND or "/" in version:
        shown = version if "/" in version else f"/{version}"
        raise BadRequest(f"cannot bind token to object of type {shown}, Kind={kind}")
    claim, plural = _BOUND[kind]
    obj = _find(ctx, plural, ref.get("name", ""), namespaced=kind != "Node")
    bound = {claim: obj}
    if kind == "Pod":
        name = account["metadata"]["name"]
        if at(obj, "spec", "serviceAccountName") != name:
            raise BadRequest(
                f'cannot bind token for serviceaccount "{name}" to pod running with different'
                f" serviceaccount name."
            )
        bound |= _node_of(ctx, obj)
    uid = ref.get("uid", "")
    if uid and uid != uid_of(obj):
        why = (
            f"the UID in the bound object reference ({uid}) does not match the UID in record. The"
            " object might have been deleted and then recreated"
        )
        raise conflict("", kind, ref["name"], why)
    return bound


def _node_of(ctx: RequestContext, pod: Obj) -> dict[str, Obj]:
    name = at(pod, "spec", "nodeName")
    nodes = ctx.server.endpoint_of("", "nodes")
    cached = nodes.cache.get(nodes.key("", name)) if name else None
    return {"node": nodes.decode(cached)} if cached else {}


def _find(ctx: RequestContext, plural: str, name: str, *, namespaced: bool) -> Obj:
    endpoint = ctx.server.endpoint_of("", plural)
    cached = endpoint.cache.get(endpoint.key(ctx.namespace if namespaced else "", name))
    if cached is None:
        raise not_found("", plural, name)
    return endpoint.decode(cached)
