"""DELETE of one object. Upstream: endpoints/handlers/delete.go, generic/registry/store.go."""

from typing import Final

from tiphys.api.errors import OBJECT_MODIFIED, BadRequest, conflict
from tiphys.api.meta import GroupVersionKind, Obj, at
from tiphys.apiserver.bodies import content_type, parse_body
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.deletion import (
    DeleteOptions,
    check_delete_preconditions,
    mark,
    parse_delete_options,
    plan_delete,
)
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.list_options import query_bool, query_int
from tiphys.apiserver.responses import document_answer, object_answer
from tiphys.apiserver.verbs.get import stored
from tiphys.apiserver.writes import (
    UPDATE_TRIES_MAX,
    admission_write,
    encoded,
    storage_failed,
)
from tiphys.codec.typed import DecodeError, to_typed
from tiphys.lib.http.message import Answer
from tiphys.storage.backend import RevisionMismatch, StorageError
from tiphys.storage.cached_object import CachedObject

_KIND: Final = GroupVersionKind("meta.k8s.io", "v1", "DeleteOptions")
_POD: Final = "core.v1.Pod"
_SCHEME: Final = "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"
# Kinds whose delete answers with the object that was (upstream's ReturnDeletedObject).
RETURNS_OBJECT: Final = frozenset(
    {"Pod", "Service", "PersistentVolume", "PersistentVolumeClaim", "ServiceAccount"}
    | {"PodTemplate", "ResourceQuota", "PodDisruptionBudget", "CSIDriver", "CSINode"}
    | {"StorageClass", "VolumeAttachment", "VolumeAttributesClass"}
)


async def delete(ctx: RequestContext) -> Answer:
    """Raises NotFound, Conflict, Invalid, Forbidden."""
    ctx.media()
    options = read_delete_options(ctx)
    cached = stored(ctx)
    gone, left = await delete_object(ctx, ctx.endpoint, cached, options)
    if left is not None:
        return object_answer(ctx, 200, left)
    if ctx.endpoint.custom is None and ctx.endpoint.info.kind in RETURNS_OBJECT:
        return object_answer(ctx, 200, gone)
    return document_answer(ctx, 200, success(ctx.endpoint, ctx.endpoint.decode(gone)))


def success(endpoint: Endpoint, obj: Obj) -> Obj:
    info = endpoint.info
    details: Obj = {"name": obj["metadata"]["name"]}
    if info.group:
        details["group"] = info.group
    details |= {"kind": info.plural, "uid": obj["metadata"].get("uid", "")}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def read_delete_options(ctx: RequestContext) -> DeleteOptions:
    """From the body where there is one, from the query otherwise. Raises Invalid, BadRequest."""
    if ctx.request.body:
        try:
            obj, _ = parse_body(ctx.request.body, content_type(ctx), _KIND)
            check_options_kind(obj)
            obj = to_typed(obj, "meta.v1.DeleteOptions")
        except DecodeError as error:
            raise BadRequest(str(error)) from None
    else:
        obj = _options_of_query(ctx)
    # Beside a body the query does not count, not even its dryRun.
    options = parse_delete_options(obj)
    if ctx.endpoint.resource.delete_warning and not options.propagation_policy:
        ctx.warnings.append(ctx.endpoint.resource.delete_warning)
    return options


def check_options_kind(obj: Obj) -> None:
    """A body that says what it is must be DeleteOptions. Raises BadRequest."""
    kind, version = obj.get("kind") or _KIND.kind, obj.get("apiVersion") or "v1"
    if kind != _KIND.kind:
        text = f'no kind "{kind}" is registered for version "{version}" in scheme "{_SCHEME}"'
        raise BadRequest(text)


def _options_of_query(ctx: RequestContext) -> Obj:
    if not ctx.request.query:
        return {}
    obj: Obj = {}
    if "propagationPolicy" in ctx.params:
        obj["propagationPolicy"] = ctx.param("propagationPolicy")
    if "orphanDependents" in ctx.params:
        obj["orphanDependents"] = query_bool(ctx.params, "orphanDependents")
    grace = query_int(ctx.params, "gracePeriodSeconds")
    if grace is not None:
        obj["gracePeriodSeconds"] = grace
    found = {name: ctx.param(name) for name in ("uid", "resourceVersion") if ctx.param(name)}
    if found:
        obj["preconditions"] = found
    if "dryRun" in ctx.params:
        obj["dryRun"] = ctx.params["dryRun"]
    return obj


async def delete_object(
    ctx: RequestContext, endpoint: Endpoint, cached: CachedObject, options: DeleteOptions
) -> tuple[CachedObject, CachedObject | None]:
    """Delete, again when somebody else wrote meanwhile.

    Returns what was there, and what is left of it (marked, waiting), or None when it is gone.
    """
    info, server = endpoint.info, ctx.server
    current: CachedObject | None = cached
    for _ in range(UPDATE_TRIES_MAX):
        if current is None:
            return cached, None  # Somebody else finished it.
        obj = endpoint.decode(current)
        check_delete_preconditions(info, obj, options)
        write = admission_write(ctx, "DELETE", None, obj)
        server.admission.mutate(write)
        server.admission.validate(write)
        orphans = endpoint.resource.orphans_by_default
        new = endpoint.resource.before_delete(obj, server.clock.now()) or plan_delete(
            obj, options, server.clock.now(), orphans_by_default=orphans
        )
        try:
            if new is None:
                if info.schema_type == _POD:
                    marked = dict(obj["metadata"])
                    mark(marked, 0, server.clock.now())
                    obj = obj | {"metadata": marked}
                return await _remove(ctx, endpoint, current, obj, dry_run=options.is_dry_run)
            return current, await _mark(ctx, endpoint, current, new, dry_run=options.is_dry_run)
        except RevisionMismatch as mismatch:
            await server.store.caught_up(endpoint.cache, cached.key, mismatch.actual)
            current = endpoint.cache.get(cached.key)
        except StorageError as error:
            raise storage_failed(error) from error
    raise conflict(info.group, info.plural, at(obj, "metadata", "name"), OBJECT_MODIFIED)


async def _remove(
    ctx: RequestContext, endpoint: Endpoint, current: CachedObject, obj: Obj, *, dry_run: bool
) -> tuple[CachedObject, None]:
    shown = current
    if endpoint.info.schema_type == _POD:  # Answered as it was at its very end.
        value = encoded(endpoint, obj)
        shown = endpoint.cache.spliced(current.key, value, current.revision)
    if not dry_run:
        await ctx.server.store.delete(endpoint.cache, current.key, current.revision)
    return shown, None


async def _mark(
    ctx: RequestContext, endpoint: Endpoint, current: CachedObject, new: Obj, *, dry_run: bool
) -> CachedObject:
    value = encoded(endpoint, new)
    same = endpoint.cache.spliced(current.key, value, current.revision)
    if dry_run or same.tail == current.tail:
        return same
    return await ctx.server.store.update(endpoint.cache, current.key, value, current.revision)
