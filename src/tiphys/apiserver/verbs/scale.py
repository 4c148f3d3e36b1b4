"""The scale of a workload: a small object over its replicas.

Upstream: pkg/registry/apps/*/storage (ScaleREST), pkg/apis/autoscaling.
"""

from typing import Any, Final

from tiphys.api import labels
from tiphys.api.errors import OBJECT_MODIFIED, conflict
from tiphys.api.field_errors import invalid, invalid_object
from tiphys.api.meta import GroupVersionKind, Obj, at
from tiphys.apiserver.bodies import read_object
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.field_manager.manage import track_scale
from tiphys.apiserver.object_meta import set_namespace
from tiphys.apiserver.responses import document_answer
from tiphys.apiserver.verbs.get import stored
from tiphys.apiserver.verbs.options import check_write_options
from tiphys.apiserver.verbs.update import check_name, check_uid
from tiphys.apiserver.writes import admit, guaranteed_update, raise_invalid
from tiphys.codec.fields.field_set import FieldSet
from tiphys.lib.http.message import Answer

KIND: Final = GroupVersionKind("autoscaling", "v1", "Scale")
_METADATA: Final = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(obj: Obj) -> Obj:
    """The Scale of a workload."""
    metadata = {k: obj["metadata"][k] for k in _METADATA if k in obj["metadata"]}
    replicas = at(obj, "spec", "replicas", default=0)
    status: Obj = {"replicas": at(obj, "status", "replicas", default=0)}
    text = _selector(obj)
    if text:
        status["selector"] = text
    return {
        "kind": KIND.kind,
        "apiVersion": KIND.api_version,
        "metadata": metadata,
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def scale_for(ctx: RequestContext, obj: Obj) -> Obj:
    """The Scale of the request's object. Raises InternalError."""
    custom = ctx.endpoint.custom
    return custom.scale_of(obj) if custom else scale_of(obj)


def scale_for_patch(ctx: RequestContext, obj: Obj) -> Obj:
    """A patch may give an object the replicas that it did not have."""
    custom = ctx.endpoint.custom
    return custom.scale_of(obj, needs_replicas=False) if custom else scale_of(obj)


def _selector(obj: Obj) -> str:
    selector = at(obj, "spec", "selector")
    if obj["kind"] == "ReplicationController":
        return str(labels.from_set(selector))
    return str(labels.from_object(selector)) if selector is not None else ""


def get_scale(ctx: RequestContext) -> Answer:
    """Raises NotFound."""
    return document_answer(ctx, 200, scale_for(ctx, ctx.endpoint.decode(stored(ctx))))


async def update_scale(ctx: RequestContext) -> Answer:
    """Raises NotFound, Conflict, Invalid."""
    check_write_options(ctx, "UpdateOptions")
    scale = read_object(ctx, KIND)
    stored(ctx)
    check_name(ctx, scale)
    set_namespace(scale["metadata"], ctx.namespace, namespaced=ctx.endpoint.info.namespaced)
    cached = await guaranteed_update(
        ctx, ctx.endpoint, ctx.key, lambda old: with_scale(ctx, old, scale)
    )
    return document_answer(ctx, 200, scale_for(ctx, ctx.endpoint.decode(cached)))


def with_scale(ctx: RequestContext, old: Obj, scale: Obj) -> Obj:
    """The workload with the Scale's number. Raises Conflict, Invalid, Forbidden."""
    info = ctx.endpoint.info
    revision = scale["metadata"].get("resourceVersion", "")
    if revision and revision != old["metadata"]["resourceVersion"]:
        raise conflict(info.group, info.plural, ctx.name, OBJECT_MODIFIED)
    check_uid(ctx, scale, old)
    replicas = at(scale, "spec", "replicas", default=0)
    before = scale_for_patch(ctx, old)
    admit(ctx, "UPDATE", before | {"spec": {"replicas": replicas}}, before)
    if ctx.endpoint.custom is not None:
        errors = ctx.endpoint.custom.replicas_errors(replicas)
        raise_invalid(ctx.endpoint, old, errors)
        new = ctx.endpoint.custom.with_replicas(old, replicas)
    else:
        new = _with_replicas(ctx, old, replicas)
    if not ctx.applies:
        track_scale(ctx, new, old, _replicas_field(ctx))
    return new


def _with_replicas(ctx: RequestContext, old: Obj, replicas: int) -> Obj:
    if replicas < 0:
        error = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise invalid_object(KIND.group, KIND.kind, ctx.name, [error])
    new = old | {"metadata": dict(old["metadata"])}
    if at(old, "spec", "replicas") != replicas:
        new["spec"] = old["spec"] | {"replicas": replicas}
        if "generation" in new["metadata"]:
            new["metadata"]["generation"] += 1
    return new


def _replicas_field(ctx: RequestContext) -> FieldSet:
    """Where a workload has the number that its Scale shows."""
    custom = ctx.endpoint.custom
    if custom is None:
        return {"f:spec": {"f:replicas": {}}}
    only = custom.with_replicas({"metadata": {}}, 0)
    return _fields_of({k: v for k, v in only.items() if k != "metadata"})


def _fields_of(value: Any) -> FieldSet:
    return {f"f:{k}": _fields_of(v) for k, v in value.items()} if isinstance(value, dict) else {}
