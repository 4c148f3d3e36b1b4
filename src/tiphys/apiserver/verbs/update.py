"""UPDATE and UPDATE of status: replace an object. Upstream: endpoints/handlers/update.go."""

import copy
from collections.abc import Callable
from typing import Final

from tiphys.api.errors import (
    OBJECT_MODIFIED,
    BadRequest,
    conflict,
    failed_precondition,
    not_found,
)
from tiphys.api.field_errors import FieldError, invalid, invalid_object
from tiphys.api.meta import Obj
from tiphys.apiserver.admission.chain import Write
from tiphys.apiserver.admission.resource_quota import COUNTED_KINDS
from tiphys.apiserver.as_written import quoted_as_written
from tiphys.apiserver.bodies import read_object
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.field_manager.manage import track_update
from tiphys.apiserver.filters.authorization import attributes_of
from tiphys.apiserver.filters.authorization import forbidden as not_permitted
from tiphys.apiserver.filters.escalation import check_escalation
from tiphys.apiserver.number_pool import Reservation
from tiphys.apiserver.object_meta import (
    fill_on_update,
    set_namespace,
    validate_any_update,
    validate_kind_update,
)
from tiphys.apiserver.owner_references import keep_owners_once
from tiphys.apiserver.resources.certificates.rules import validate_approval
from tiphys.apiserver.resources.core.namespace import validate_finalizers
from tiphys.apiserver.resources.core.pod_ephemeral_rules import validate_ephemeral, with_ephemeral
from tiphys.apiserver.resources.core.pod_resize_rules import resized, validate_resize
from tiphys.apiserver.responses import object_answer
from tiphys.apiserver.verbs.create import create_object
from tiphys.apiserver.verbs.options import check_write_options
from tiphys.apiserver.writes import (
    admission_write,
    guaranteed_update,
    raise_invalid,
    validate_name_of,
)
from tiphys.lib.http.message import Answer
from tiphys.storage.cached_object import CachedObject


async def update(ctx: RequestContext) -> Answer:
    """Raises BadRequest, NotFound, Conflict, Invalid, Forbidden."""
    ctx.media()
    check_write_options(ctx, "UpdateOptions")
    obj = read_object(ctx, ctx.endpoint.info.gvk)
    check_name(ctx, obj)
    keep_owners_once(ctx, obj)
    set_namespace(obj["metadata"], ctx.namespace, namespaced=ctx.endpoint.info.namespaced)
    if may_create(ctx):
        check_create_allowed(ctx)
        return object_answer(ctx, 201, await create_object(ctx, obj))
    ctx.endpoint.resource.default(obj)
    return object_answer(ctx, 200, await update_object(ctx, lambda old: obj))


def may_create(ctx: RequestContext) -> bool:
    """The object is not there, and its kind may be made by writing to its name."""
    endpoint = ctx.endpoint
    return (
        endpoint.resource.allow_create_on_update
        and not ctx.info.subresource
        and endpoint.cache.get(ctx.key) is None
    )


def check_create_allowed(ctx: RequestContext) -> None:
    """Who may only update makes nothing by it. Raises Forbidden; upstream handlers/update.go."""
    asked = attributes_of(ctx.info)._replace(verb="create")
    decision = ctx.server.authorizer.decide(ctx.user, asked)
    if not decision.allowed:
        raise not_permitted(ctx.user, asked, decision.reason)


def check_name(ctx: RequestContext, obj: Obj) -> None:
    """The body names the object of the path. Raises BadRequest."""
    name = obj["metadata"].get("name", "")
    if not name:
        raise BadRequest(
            f"the name of the object ({ctx.name} based on URL) was undeterminable:"
            " name must be provided"
        )
    if name != ctx.name:
        raise BadRequest(
            f"the name of the object ({name}) does not match the name on the URL ({ctx.name})"
        )


async def update_object(ctx: RequestContext, make: Callable[[Obj], Obj]) -> CachedObject:
    """Replace the object with what `make` gives for the present one (a fresh copy each time)."""
    if ctx.endpoint.custom is None and ctx.endpoint.info.kind in COUNTED_KINDS:
        return await _update_counted(ctx, make)
    return await guaranteed_update(
        ctx, ctx.endpoint, ctx.key, lambda old: prepare_update(ctx, _copied(make, old), old)
    )


def _copied(make: Callable[[Obj], Obj], old: Obj) -> Obj:
    new = dict(make(old))
    new["metadata"] = dict(new["metadata"])
    return new


async def _update_counted(ctx: RequestContext, make: Callable[[Obj], Obj]) -> CachedObject:
    """An update after which a quota, or a pool of addresses, may have less left."""
    server = ctx.server
    claims = server.claims if ctx.endpoint.info.kind == "Service" else None
    written: list[Write] = []

    async with server.quota.charges() as charges:
        with Reservation() as reserved:

            def change(old: Obj) -> Obj:
                new = _copied(make, old)
                if claims is not None:
                    new["spec"] = copy.deepcopy(new.get("spec"))  # Each try is given numbers anew.
                new = prepare_update(ctx, new, old, reserved)
                written[:] = [admission_write(ctx, "UPDATE", new, old)]
                return new

            async def claim() -> bool:
                if claims is not None and not await claims.take(reserved):
                    return False
                await charges.take(written[0])
                return True

            return await guaranteed_update(ctx, ctx.endpoint, ctx.key, change, claim=claim)


def prepare_update(
    ctx: RequestContext, new: Obj, old: Obj, reserved: Reservation | None = None
) -> Obj:
    """The object to write instead of the old one; reserved: for a Service's numbers.

    Raises Conflict, Invalid, Forbidden.
    """
    endpoint, server = ctx.endpoint, ctx.server
    resource, info = endpoint.resource, endpoint.info
    check_preconditions(ctx, new, old)
    new["kind"], new["apiVersion"] = old["kind"], old["apiVersion"]
    is_status = ctx.info.subresource == "status"
    part = PARTS.get(ctx.info.subresource)
    if part is not None:
        new = part(new, old)
    elif is_status:
        new = _with_status(old, new, is_custom=endpoint.custom is not None)
    elif "status" in info.subresources:
        new = {k: v for k, v in new.items() if k != "status"}
        if "status" in old:
            new["status"] = old["status"]
    fill_on_update(new, old)
    if not ctx.applies:
        track_update(ctx, new, old)
    check_escalation(server.authorizer, ctx.user, ctx.info, new, old)
    write = admission_write(ctx, "UPDATE", new, old)
    server.admission.mutate(write)
    if is_status:
        resource.before_status_update(new, old)
    elif ctx.info.subresource not in _PREPARED:
        resource.before_update(new, old)
    resource.note_request(new, old, ctx.user, server.clock.now())
    if not is_status:
        raise_invalid(endpoint, new, resource.validate_first(new))
    raise_invalid(endpoint, new, _update_errors(ctx, new, old))
    if is_status:
        ctx.warnings += resource.status_warnings(new)
    else:
        ctx.warnings += resource.warnings(new, old)
    server.admission.validate(write)
    if not is_status and reserved is not None:
        server.allocate(ctx, new, old, reserved)
    return new


def _update_errors(ctx: RequestContext, new: Obj, old: Obj) -> list[FieldError]:
    """All rules for an update, in upstream's order; values as they were written."""
    errors = validate_any_update(new, old, namespaced=ctx.endpoint.info.namespaced)

    def validate(obj: Obj) -> list[FieldError]:
        return _kind_errors(ctx, obj, old)

    found = validate(new)
    return errors + (quoted_as_written(found, validate, new, ctx.given) if ctx.given else found)


def _kind_errors(ctx: RequestContext, new: Obj, old: Obj) -> list[FieldError]:
    """What the kind's own rules say of an update."""
    endpoint, resource, info = ctx.endpoint, ctx.endpoint.resource, ctx.endpoint.info
    meta = validate_kind_update(
        info.gvk, new, old,
        namespaced=info.namespaced,
        validate_name=validate_name_of(endpoint),
        is_custom=endpoint.custom is not None,
        of_status=ctx.info.subresource == "status",
    )  # fmt: skip
    if ctx.info.subresource == "status":
        return meta + resource.validate_status_update(new, old)
    rules = PART_RULES.get(ctx.info.subresource, resource.validate_update)
    if ctx.info.subresource == "finalize":
        return meta + rules(new, old)
    found = {"meta": meta, "whole": resource.validate_whole(new), "change": rules(new, old)}
    return [error for part in resource.update_order for error in found[part]]


def _with_status(old: Obj, new: Obj, *, is_custom: bool) -> Obj:
    """A custom resource keeps its metadata, and may be left without a status."""
    if not is_custom:
        return old | {"metadata": new["metadata"], "status": new.get("status", {})}
    metadata = {k: v for k, v in old["metadata"].items() if k != "managedFields"}
    if "managedFields" in new["metadata"]:
        metadata["managedFields"] = new["metadata"]["managedFields"]
    made = {k: v for k, v in old.items() if k != "status"} | {"metadata": metadata}
    return made | ({"status": new["status"]} if "status" in new else {})


def _conditions(new: Obj, old: Obj) -> Obj:
    status = dict(old.get("status") or {})
    conditions = (new.get("status") or {}).get("conditions")
    if conditions:
        status["conditions"] = conditions
    return old | {"metadata": new["metadata"], "status": status}


def _finalizers(new: Obj, old: Obj) -> Obj:
    """Of a Namespace: the one spec that can change."""
    finalizers = (new.get("spec") or {}).get("finalizers")
    spec = {"finalizers": finalizers} if finalizers else {}
    return old | {"metadata": new["metadata"], "spec": spec}


# What a subresource lets change, everything else staying as it was.
PARTS: Final = {
    "ephemeralcontainers": with_ephemeral,
    "resize": resized,
    "approval": _conditions,
    "finalize": _finalizers,
}
# Those whose part keeps everything else, and needs no preparation by the kind.
_PREPARED: Final = frozenset({"approval", "finalize"})


# What is checked instead of the kind's rules for updates, which forbid changing these parts.
PART_RULES: Final = {
    "ephemeralcontainers": validate_ephemeral,
    "resize": validate_resize,
    "approval": validate_approval,
    "finalize": validate_finalizers,
}


def check_preconditions(ctx: RequestContext, new: Obj, old: Obj) -> None:
    """Revision and uid in the body must be the stored object's.

    Raises Conflict, Invalid, InternalError.
    """
    check_uid(ctx, new, old)
    info = ctx.endpoint.info
    metadata, before = new["metadata"], old["metadata"]
    revision = metadata.get("resourceVersion", "")
    if not revision or revision == "0":
        if not ctx.endpoint.resource.allow_unconditional_update:
            error = invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid_object(info.group, info.plural, ctx.name, [error])
    elif not (revision.isascii() and revision.isdigit()):
        text = f'strconv.ParseUint: parsing "{revision}": invalid syntax'
        raise BadRequest(text)  # Upstream takes it for its own fault (500).
    elif revision != before["resourceVersion"]:
        raise conflict(info.group, info.plural, ctx.name, OBJECT_MODIFIED)


def check_uid(ctx: RequestContext, new: Obj, old: Obj) -> None:
    """A uid in the body of an update is a precondition. Raises Conflict."""
    info, before = ctx.endpoint.info, old["metadata"]
    uid = new["metadata"].get("uid", "")
    if ctx.info.verb == "update" and uid and uid != before.get("uid"):
        what = f"UID in precondition: {uid}, UID in object meta: {before['uid']}"
        why = failed_precondition(_upstream_key(ctx), what)
        raise conflict(info.group, info.plural, ctx.name, why)


def _upstream_key(ctx: RequestContext) -> str:
    """Where upstream keeps the object; clients see it in this one message."""
    plural = ctx.endpoint.info.plural
    where = f"{ctx.namespace}/{ctx.name}" if ctx.endpoint.info.namespaced else ctx.name
    return f"/{_UPSTREAM_PREFIXES.get(plural, plural)}/{where}"


_UPSTREAM_PREFIXES: Final = {
    "nodes": "minions",
    "services": "services/specs",
    "endpoints": "services/endpoints",
    "ingresses": "ingress",
    "replicationcontrollers": "controllers",
}


def require(ctx: RequestContext) -> CachedObject:
    """The stored object. Raises NotFound."""
    cached = ctx.endpoint.cache.get(ctx.key)
    if cached is None:
        raise not_found(ctx.endpoint.info.group, ctx.endpoint.info.plural, ctx.name)
    return cached
