"""What writes do about `metadata.managedFields`.

Upstream: apimachinery pkg/util/managedfields/internal/fieldmanager.go, skipnonapplied.go,
lastappliedmanager.go, lastappliedupdater.go; apiserver pkg/endpoints/handlers/fieldmanager.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from tiphys.api.errors import BadRequest, InternalError
from tiphys.api.meta import Obj, rfc3339
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.field_manager.entries import (
    BadManagedFields,
    ManagerKey,
    Managers,
    Operation,
    capped,
    is_reset,
    read,
    write,
    written,
)
from tiphys.apiserver.field_manager.scale import through_scale
from tiphys.apiserver.field_manager.tracking import (
    BEFORE_FIRST_APPLY,
    Scope,
    applied,
    created,
    updated,
)
from tiphys.codec.fields.compare import compare, field_set
from tiphys.codec.fields.field_set import FieldSet, difference
from tiphys.codec.fields.shape import shape_of, zero_of
from tiphys.codec.fields.unfit import why_unfit

NAME_LENGTH_MAX: Final = 128  # FieldManagerMaxLength
UNKNOWN: Final = "unknown"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
LAST_APPLIED_BYTES_MAX: Final = 262_144  # TotalAnnotationSizeLimitB
_KUBECTL: Final = "kubectl"
# What a strategy takes out of what is written through a subresource or beside one.
_STATUS: Final[FieldSet] = {"f:status": {}}
_SPEC: Final[FieldSet] = {"f:spec": {}}
_SPEC_AND_METADATA: Final[FieldSet] = {"f:metadata": {}, "f:spec": {}}
# Kinds whose status takes out more than the spec (GetResetFields of their strategies).
_OF_STATUS: Final[Mapping[str, FieldSet]] = {
    "core.v1.Pod": {
        "f:metadata": {"f:deletionTimestamp": {}, "f:ownerReferences": {}},
        "f:spec": {},
    },
    "apps.v1.Deployment": {"f:metadata": {"f:labels": {}}, "f:spec": {}},
    "admissionregistration.v1.ValidatingAdmissionPolicy": _SPEC_AND_METADATA,
    "apiextensions.v1.CustomResourceDefinition": _SPEC_AND_METADATA,
    "apiregistration.v1.APIService": _SPEC_AND_METADATA,
    "flowcontrol.v1.FlowSchema": _SPEC_AND_METADATA,
    "flowcontrol.v1.PriorityLevelConfiguration": _SPEC_AND_METADATA,
    "networking.v1.ServiceCIDR": _SPEC_AND_METADATA,
    "resource.v1.ResourceClaim": _SPEC_AND_METADATA,
    "storage.v1.VolumeAttachment": _SPEC_AND_METADATA,
}

# A request for a certificate is nobody's: its spec stays as it was asked, whoever writes it.
_REQUEST_TYPE: Final = "certificates.v1.CertificateSigningRequest"
_OF_REQUESTS: Final[Mapping[str, FieldSet]] = {
    "": {"f:spec": {}, "f:status": {}},
    "status": {"f:spec": {}, "f:status": {"f:conditions": {}}},
    "approval": {"f:spec": {}, "f:status": {"f:certificate": {}}},
}


@lru_cache(maxsize=512)
def scope_of(type_name: str, subresource: str, *, has_status: bool) -> Scope:
    ignored = _ignored(subresource, has_status=has_status)
    if subresource == "status":
        ignored = _OF_STATUS.get(type_name, _SPEC)
    if type_name == _REQUEST_TYPE:
        ignored = _OF_REQUESTS[subresource]
    return Scope(shape_of(type_name), zero_of(type_name), ignored)


def _ignored(subresource: str, *, has_status: bool) -> FieldSet | None:
    if subresource == "status":
        return _SPEC_AND_METADATA  # Of custom resources.
    return _STATUS if has_status and not subresource else None


def _scope(ctx: RequestContext) -> Scope:
    info, custom = ctx.endpoint.info, ctx.endpoint.custom
    if custom is not None:
        ignored = _ignored(ctx.info.subresource, has_status=custom.has_status)
        return Scope(custom.shape, {}, ignored, varies=True)
    return scope_of(
        info.schema_type, ctx.info.subresource, has_status="status" in info.subresources
    )


def manager_of(ctx: RequestContext, operation: Operation) -> ManagerKey:
    """Who the request says it is, or what its client is called."""
    name = ctx.param("fieldManager") if ctx.request.query else ""
    if not name:
        agent = ctx.request.headers.get("user-agent", "").partition("/")[0]
        name = "".join(c for c in agent if c.isprintable())[:NAME_LENGTH_MAX] or UNKNOWN
    version = ctx.endpoint.info.gvk.api_version
    return ManagerKey.of(name, operation, version, ctx.info.subresource)


def track_create(ctx: RequestContext, obj: Obj) -> None:
    """A new object's fields are its maker's."""
    metadata = obj["metadata"]
    given = metadata.pop("managedFields", None)
    managers = {} if given is None or is_reset(given) else _read(ctx, given)
    scope, key = _scope(ctx), manager_of(ctx, "Update")
    version, now = ctx.endpoint.info.gvk.api_version, rfc3339(ctx.server.clock.now())
    try:
        if managers:
            after = write(capped(updated(scope, scope.zero, obj, managers, key, version, now)))
        else:
            fields = created(scope, obj)
            after = [] if fields is None else [written(key, version, now, fields)]
    except ValueError:
        return  # A list in it is none of the schema's: validation says what is wrong.
    if after:
        metadata["managedFields"] = after


def track_update(ctx: RequestContext, new: Obj, old: Obj) -> None:
    """Fields that changed are the writer's. Nothing is begun for an object that nobody tracks."""
    metadata = new["metadata"]
    given, held = metadata.pop("managedFields", None), old["metadata"].get("managedFields")
    is_whole = not ctx.info.subresource  # Who has what is not written through a part.
    if is_whole and is_reset(given):
        return
    is_given = is_whole and _is_readable(given)
    is_held = not is_given or given == held
    managers = _read(ctx, given if is_given else held)
    if not managers and not is_given:
        return
    try:
        after = updated(
            _scope(ctx), old, new, managers, manager_of(ctx, "Update"),
            ctx.endpoint.info.gvk.api_version, rfc3339(ctx.server.clock.now()),
        )  # fmt: skip
    except ValueError:
        after = managers
    if after is managers and is_held:
        metadata["managedFields"] = held
    elif after:
        metadata["managedFields"] = write(capped(after))


def track_scale(ctx: RequestContext, new: Obj, old: Obj, replicas: FieldSet) -> None:
    """As `track_update` for the field of a workload that its Scale shows, changed or not."""
    track_update(ctx, new, old)
    metadata = new["metadata"]
    if "managedFields" in metadata:
        metadata["managedFields"] = through_scale(_read(ctx, metadata["managedFields"]), replicas)


def _read(ctx: RequestContext, entries: Any) -> Managers:
    """Those of versions that are served: what others had cannot be compared."""
    try:
        found = read(entries or ())
    except (BadManagedFields, AttributeError, TypeError):
        return {}  # Upstream: emptyManagedFieldsOnErr.
    own = ctx.endpoint.info.gvk.api_version
    if all(entry.api_version == own for entry in found.values()):
        return found
    return {k: e for k, e in found.items() if _is_served(ctx, e.api_version)}


def _is_readable(entries: Any) -> bool:
    """Whether it says who has what, be it of versions that are not served."""
    try:
        return bool(read(entries or ()))
    except (BadManagedFields, AttributeError, TypeError):
        return False


def _is_served(ctx: RequestContext, api_version: str) -> bool:
    group, _, version = api_version.rpartition("/")
    info = ctx.endpoint.info
    return group == info.group and (group, version, info.plural) in ctx.server.endpoints


def apply(ctx: RequestContext, live: Obj | None, config: Obj, *, force: bool) -> Obj | None:
    """The object with what is applied, `managedFields` included; None when nothing changes.

    Raises Conflict, InternalError for what does not fit the kind, as upstream.
    """
    scope = _scope(ctx)
    version = ctx.endpoint.info.gvk.api_version
    now = rfc3339(ctx.server.clock.now())
    key = manager_of(ctx, "Apply")
    where = f"{config['metadata'].get('namespace', '')}/{ctx.name}; {_kind_text(ctx)}"
    if why := why_unfit(scope.shape, config):
        text = f"failed to create typed patch object ({where}): {why}"
        raise InternalError(text, code=500, reason="")
    live = live or {}
    managers = _read(ctx, (live.get("metadata") or {}).get("managedFields"))
    allowed = _last_applied(scope, live, version) if key.name == _KUBECTL else None
    try:
        if live and not managers:
            before = ManagerKey.of(BEFORE_FIRST_APPLY, "Update", version, "")
            managers = updated(scope, scope.zero, live, managers, before, version, now)
        found = applied(
            scope, live, config, managers, key, version, now, force=force, allowed=allowed
        )
    except ValueError as error:  # A list that is there has an item twice, or one without its key.
        raise BadRequest(f"failed to create typed live object ({where}): {error}") from None
    if found.obj is None:
        return None
    obj = found.obj
    metadata = obj["metadata"] = dict(obj.get("metadata") or {})
    metadata.pop("managedFields", None)
    if found.managers:
        metadata["managedFields"] = write(capped(found.managers))
    if key.name == _KUBECTL:
        _renew_last_applied(metadata, config)
    return obj


def _kind_text(ctx: RequestContext) -> str:
    gvk = ctx.endpoint.info.gvk
    return f"{gvk.group}/{gvk.version}, Kind={gvk.kind}"


def _annotations(obj: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = (obj.get("metadata") or {}).get("annotations") or {}
    return found


def _last_applied(scope: Scope, live: Obj, version: str) -> FieldSet | None:
    """What kubectl has applied on its own side before: that it may take without force.

    Not what somebody has changed since. Upstream: lastappliedmanager.go.
    """
    text = _annotations(live).get(LAST_APPLIED)
    if not text:
        return None
    try:
        found = orjson.loads(text)
        if found.get("apiVersion") != version or why_unfit(scope.shape, found):
            return None
        fields = field_set(scope.shape, found)
        for changed in compare(scope.shape, found, live):
            fields = difference(fields, changed)
    except (ValueError, AttributeError, RecursionError):
        return None
    return fields


def _renew_last_applied(metadata: Obj, config: Obj) -> None:
    """Who goes back to applying on the client's side finds what was applied last."""
    if LAST_APPLIED not in (metadata.get("annotations") or {}):
        return
    applied_now = {k: v for k, v in config.items() if k != "metadata"}
    inner = dict(config.get("metadata") or {})
    notes = {k: v for k, v in (inner.get("annotations") or {}).items() if k != LAST_APPLIED}
    if "annotations" in inner:
        inner["annotations"] = notes
    applied_now["metadata"] = inner
    annotations = dict(metadata.get("annotations") or {})
    try:
        text = orjson.dumps(applied_now, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    except orjson.JSONEncodeError:  # Nested too deeply to be written.
        text = ""
    if not text or len(text) > LAST_APPLIED_BYTES_MAX:
        annotations.pop(LAST_APPLIED, None)
    else:
        annotations[LAST_APPLIED] = text
    metadata["annotations"] = annotations
