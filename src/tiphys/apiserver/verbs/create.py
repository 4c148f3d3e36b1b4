"""CREATE: decode, default, admit, name, validate, store. Upstream: endpoints/handlers/create.go."""

from typing import Final

from tiphys.api.errors import AlreadyExists, Forbidden
from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj
from tiphys.api.resources import ResourceInfo
from tiphys.apiserver.as_written import quoted_as_written
from tiphys.apiserver.bodies import read_object
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.field_manager.manage import track_create
from tiphys.apiserver.filters.escalation import check_escalation
from tiphys.apiserver.number_pool import Reservation
from tiphys.apiserver.object_meta import fill_on_create, generated_name, set_namespace
from tiphys.apiserver.owner_references import keep_owners_once
from tiphys.apiserver.responses import object_answer
from tiphys.apiserver.service_claims import allocate_new
from tiphys.apiserver.verbs.options import check_write_options
from tiphys.apiserver.writes import (
    admission_write,
    namespace_errors,
    raise_invalid,
    store_new,
    validate_object,
)
from tiphys.lib.http.message import Answer
from tiphys.storage.cached_object import CachedObject

GENERATE_TRIES_MAX: Final = 8  # KEP-4420: a generated name that is taken is drawn again.


async def create(ctx: RequestContext) -> Answer:
    """Raises BadRequest, Invalid, AlreadyExists, Forbidden, UnsupportedMediaType."""
    ctx.media()  # Not acceptable: say so before anything is written.
    check_write_options(ctx, "CreateOptions")
    obj = read_object(ctx, ctx.endpoint.info.gvk)
    keep_owners_once(ctx, obj)
    return object_answer(ctx, 201, await create_object(ctx, obj))


async def create_object(ctx: RequestContext, obj: Obj) -> CachedObject:
    """From a decoded object to a stored one."""
    endpoint, server = ctx.endpoint, ctx.server
    resource, info = endpoint.resource, endpoint.info
    if endpoint.custom is not None and endpoint.custom.is_terminating:
        raise create_not_allowed(info, obj)
    is_generated = not obj["metadata"].get("name") and bool(obj["metadata"].get("generateName"))
    set_namespace(obj["metadata"], ctx.namespace, namespaced=info.namespaced)
    resource.default(obj)
    check_escalation(server.authorizer, ctx.user, ctx.info, obj, None)
    if not ctx.applies:
        track_create(ctx, obj)
    write = admission_write(ctx, "CREATE", obj, None)
    server.admission.mutate(write)
    fill_on_create(
        obj,
        ctx.namespace,
        namespaced=info.namespaced,
        now=server.clock.now(),
        rng=server.rng,
    )
    resource.before_create(obj)
    resource.note_request(obj, None, ctx.user, server.clock.now())
    raise_invalid(endpoint, obj, resource.validate_first(obj))
    async with server.quota.charges() as charges:
        with Reservation() as reserved:
            await allocate_new(ctx, obj, reserved)
            raise_invalid(endpoint, obj, _errors(ctx, obj))
            ctx.warnings += resource.warnings(obj, None)
            server.admission.validate(write)
            await charges.take(write)
            return await _store(ctx, obj, is_generated=is_generated)


def _errors(ctx: RequestContext, obj: Obj) -> list[FieldError]:
    """All rules for a new object; values as they were written."""

    def validate(obj: Obj) -> list[FieldError]:
        return namespace_errors(ctx, obj) + validate_object(ctx.endpoint, obj)

    errors = validate(obj)
    return quoted_as_written(errors, validate, obj, ctx.given) if ctx.given else errors


def create_not_allowed(info: ResourceInfo, obj: Obj) -> Forbidden:
    """What is defined is on its way out, with all its objects."""
    name = obj["metadata"].get("name", "")
    details = {"name": name, "group": info.group, "kind": info.plural}
    text = "create not allowed while custom resource definition is terminating"
    return Forbidden(f'{info.plural}.{info.group} "{name}" is forbidden: {text}', details=details)


async def _store(ctx: RequestContext, obj: Obj, *, is_generated: bool) -> CachedObject:
    for _ in range(GENERATE_TRIES_MAX - 1 if is_generated else 0):
        try:
            return await store_new(ctx, ctx.endpoint, obj)
        except AlreadyExists:
            obj["metadata"]["name"] = generated_name(obj, ctx.server.rng)
    return await store_new(ctx, ctx.endpoint, obj)
