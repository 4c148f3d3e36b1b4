"""PATCH with application/apply-patch+yaml: server-side apply.

Upstream: endpoints/handlers/patch.go (applyPatcher).
"""

from typing import Any

from tiphys.api.errors import BadRequest, Conflict, conflict, not_found
from tiphys.api.meta import GroupVersionKind, Obj, at
from tiphys.apiserver.bodies import typed_object
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.field_manager.manage import apply as apply_fields
from tiphys.apiserver.object_meta import set_namespace
from tiphys.apiserver.responses import document_answer, object_answer
from tiphys.apiserver.verbs.create import create_object
from tiphys.apiserver.verbs.options import check_write_options
from tiphys.apiserver.verbs.scale import KIND as SCALE
from tiphys.apiserver.verbs.scale import scale_for, with_scale
from tiphys.apiserver.verbs.update import (
    check_create_allowed,
    check_name,
    require,
    update_object,
)
from tiphys.apiserver.writes import guaranteed_update
from tiphys.codec import json, yaml
from tiphys.codec.typed import DecodeError
from tiphys.lib.http.message import Answer

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})


async def apply(ctx: RequestContext) -> Answer:
    """Raises BadRequest, Conflict, Invalid, NotFound, Forbidden, InternalError."""
    ctx.media()
    check_write_options(ctx, "PatchOptions")
    config = _config(ctx, ctx.endpoint.info.gvk)
    force = ctx.param("force") in _TRUE
    ctx.applies = True
    cached = ctx.endpoint.cache.get(ctx.key)
    if cached is None:
        return object_answer(ctx, 201, await create_object(ctx, _new(ctx, config, force=force)))

    def make(old: Obj) -> Obj:
        ctx.warnings.clear()  # Each try tells of its own.
        found = apply_fields(ctx, old, config, force=force)
        if config["metadata"].get("name"):
            check_name(ctx, config)
        return _typed(ctx, old if found is None else found, config)

    return object_answer(ctx, 200, await update_object(ctx, make))


async def apply_scale(ctx: RequestContext) -> Answer:
    """Of a Scale only the number is the workload's. Raises as `apply`."""
    check_write_options(ctx, "PatchOptions")
    scale = _config(ctx, SCALE)
    require(ctx)
    force = ctx.param("force") in _TRUE
    ctx.applies = True
    replicas = at(scale, "spec", "replicas")
    config: Obj = {"metadata": {}}
    if replicas is not None:
        config |= _with_replicas(ctx, replicas)

    def change(old: Obj) -> Obj:
        try:
            found = apply_fields(ctx, old, config, force=force)
        except Conflict as error:
            raise _of_scale(ctx, error) from None
        if found is None:
            return old
        new = with_scale(ctx, old, scale) if replicas is not None else old
        return new | {"metadata": new["metadata"] | _managed(found)}

    cached = await guaranteed_update(ctx, ctx.endpoint, ctx.key, change)
    return document_answer(ctx, 200, scale_for(ctx, ctx.endpoint.decode(cached)))


def _with_replicas(ctx: RequestContext, replicas: int) -> Obj:
    """The one field of the object that a Scale applies."""
    custom = ctx.endpoint.custom
    if custom is None:
        return {"spec": {"replicas": replicas}}
    return custom.with_replicas({"metadata": {}}, replicas) | {"metadata": {}}


def _of_scale(ctx: RequestContext, error: Conflict) -> Conflict:
    """Whoever owns the number owns it of the Scale."""
    own, scale = f"using {ctx.endpoint.info.gvk.api_version}", f"using {SCALE.api_version}"
    causes = [c._replace(message=c.message.replace(own, scale)) for c in error.causes]
    return Conflict(error.message.replace(own, scale), causes=causes)


def _managed(obj: Obj) -> Obj:
    return {"managedFields": obj["metadata"].get("managedFields", [])}


def _new(ctx: RequestContext, config: Obj, *, force: bool) -> Obj:
    """An object that is made by applying it. Raises NotFound, Conflict, Forbidden."""
    info = ctx.endpoint.info
    if ctx.info.subresource:
        raise not_found(info.group, info.plural, ctx.name)
    check_name(ctx, config)
    uid = config["metadata"].get("uid")
    if uid:
        raise conflict(
            info.group,
            info.plural,
            ctx.name,
            f"uid mismatch: the provided object specified uid {uid}, and no existing object was"
            " found",
        )
    check_create_allowed(ctx)
    found = apply_fields(ctx, None, config, force=force)
    return _typed(ctx, config if found is None else found, config)


def _config(ctx: RequestContext, gvk: GroupVersionKind) -> Obj:
    """The applied object, loose. Raises BadRequest."""
    config = _parsed(ctx.request.body)
    version, kind = config.get("apiVersion", ""), config.get("kind", "")
    if (version, kind) != (gvk.api_version, gvk.kind):
        shown = f"{version}, Kind={kind}" if "/" in str(version) else f"/{version}, Kind={kind}"
        raise BadRequest(f"invalid object type: {shown}")
    metadata = config.get("metadata")
    if metadata is None:
        metadata = config["metadata"] = {}
    if not isinstance(metadata, dict):
        raise BadRequest("metadata must be an object")
    if metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    given = metadata.get("namespace")
    set_namespace(metadata, ctx.namespace, namespaced=ctx.endpoint.info.namespaced)
    if given is None:
        metadata.pop("namespace", None)
    return config


def _parsed(body: bytes) -> Obj:
    """YAML, of which JSON is a part. Raises BadRequest."""
    try:
        found: Any = json.decode(body) if body[:1] == b"{" else yaml.decode_strict(body)[0]
    except DecodeError as error:
        text = str(error).removeprefix("error converting YAML to JSON: ")
        if text.startswith("json: cannot unmarshal"):
            text = text.replace("Go value of type map", "Go value of type map[string]interface {}")
            text = f"error unmarshaling JSON: while decoding JSON: {text}"
        raise BadRequest(f"error decoding YAML: {text}") from None
    return dict(found)


def _typed(ctx: RequestContext, loose: Obj, config: Obj) -> Obj:
    """In its kind's form, with its defaults."""
    gvk = ctx.endpoint.info.gvk
    named = {**loose, "apiVersion": gvk.api_version, "kind": gvk.kind}
    made = typed_object(ctx, named, gvk, None, [])
    metadata = made["metadata"]
    for field in ("resourceVersion", "uid"):  # Preconditions, where they are given.
        if config["metadata"].get(field):
            metadata[field] = config["metadata"][field]
    set_namespace(metadata, ctx.namespace, namespaced=ctx.endpoint.info.namespaced)
    ctx.endpoint.resource.default(made)
    return made
