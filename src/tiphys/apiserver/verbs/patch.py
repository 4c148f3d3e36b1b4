"""PATCH: JSON patch, merge patch and strategic merge patch of objects, status and scale.

A patch is applied to the newest object, again when somebody else wrote meanwhile.
Upstream: endpoints/handlers/patch.go.
"""

import re
from typing import Any, Final

import orjson

from tiphys.api.errors import (
    ApiError,
    BadRequest,
    InternalError,
    Invalid,
    RequestEntityTooLarge,
    StatusCause,
    UnsupportedMediaType,
)
from tiphys.api.field_errors import invalid
from tiphys.api.meta import GroupVersionKind, Obj
from tiphys.apiserver.bodies import UnreadableObject, typed_object
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.object_meta import set_namespace
from tiphys.apiserver.owner_references import keep_owners_once
from tiphys.apiserver.responses import document_answer, object_answer
from tiphys.apiserver.verbs.apply import apply, apply_scale
from tiphys.apiserver.verbs.options import check_write_options
from tiphys.apiserver.verbs.scale import KIND as SCALE
from tiphys.apiserver.verbs.scale import scale_for, scale_for_patch, with_scale
from tiphys.apiserver.verbs.update import check_name, require, update_object
from tiphys.apiserver.writes import guaranteed_update
from tiphys.codec.json_syntax import syntax_error
from tiphys.codec.patch import PatchError, json_patch, merge, strategic
from tiphys.codec.patch.shown import reached_by_merge, reached_by_operations, shown
from tiphys.codec.typed import json_kind
from tiphys.lib.http.message import Answer

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
_NO_STRATEGY: Final = (
    "the body of the request was in an unknown format - accepted media types include:"
    f" {JSON_PATCH}, {MERGE_PATCH}, {APPLY}"
)
_WRONG_TYPE: Final = re.compile(r"json: cannot unmarshal (\w+) into .*of type (\S+)$")


async def patch(ctx: RequestContext) -> Answer:
    """Raises NotFound, Conflict, Invalid, BadRequest, UnsupportedMediaType."""
    if _type_of(ctx) == APPLY:
        return await apply(ctx)
    ctx.media()
    kind, document = _read_patch(ctx)
    endpoint, told = ctx.endpoint, list(ctx.warnings)

    def make(old: Obj) -> Obj:
        ctx.warnings[:] = told  # Each try tells of its own.
        new = patched(ctx, old, kind, document, endpoint.info.gvk, endpoint.info.schema_type)
        check_name(ctx, new)
        keep_owners_once(ctx, new, is_patched=True)
        set_namespace(new["metadata"], ctx.namespace, namespaced=endpoint.info.namespaced)
        endpoint.resource.default(new)
        return new

    return object_answer(ctx, 200, await update_object(ctx, make))


async def patch_scale(ctx: RequestContext) -> Answer:
    """A patch of the Scale, written to the workload."""
    if _type_of(ctx) == APPLY:
        return await apply_scale(ctx)
    kind, document = _read_patch(ctx)
    told = list(ctx.warnings)

    def change(old: Obj) -> Obj:
        ctx.warnings[:] = told
        new = patched(ctx, scale_for_patch(ctx, old), kind, document, SCALE, "autoscaling.v1.Scale")
        check_name(ctx, new)
        return with_scale(ctx, old, new)

    cached = await guaranteed_update(ctx, ctx.endpoint, ctx.key, change)
    return document_answer(ctx, 200, scale_for(ctx, ctx.endpoint.decode(cached)))


def is_scale(ctx: RequestContext) -> bool:
    return ctx.info.subresource == "scale"


def _type_of(ctx: RequestContext) -> str:
    return ctx.request.headers.get("content-type", "").partition(";")[0].strip()


def _read_patch(ctx: RequestContext) -> tuple[str, Any]:
    """The patch's type and its document. Raises UnsupportedMediaType, BadRequest, Invalid."""
    kind = _type_of(ctx)
    if kind == STRATEGIC and ctx.endpoint.custom is not None and not is_scale(ctx):
        raise UnsupportedMediaType(_NO_STRATEGY)
    if kind not in {JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY}:
        raise UnsupportedMediaType("415: Unsupported Media Type", details={})
    check_write_options(ctx, "PatchOptions")
    require(ctx)
    try:
        return kind, orjson.loads(ctx.request.body)
    except orjson.JSONDecodeError:
        why = syntax_error(ctx.request.body)
        raise BadRequest(f"error decoding patch: {why}") from None


def patched(
    ctx: RequestContext, old: Obj, kind: str, document: Any, gvk: GroupVersionKind, type_name: str
) -> Obj:
    """The object after the patch, in its kind's form. Raises ApiError."""
    try:
        if kind == JSON_PATCH:
            if not isinstance(document, list):
                raise PatchError(
                    f"error decoding patch: json: cannot unmarshal {json_kind(document)} into Go"
                    " value of type []handlers.jsonPatchOp",
                    400,
                )
            loose = json_patch.apply(old, document)
        elif kind == MERGE_PATCH:
            loose = merge.apply(old, document)
        else:
            loose = strategic.apply(old, document, type_name)
    except PatchError as error:
        raise _refused(error) from None
    except RecursionError:
        raise BadRequest("the patch is nested too deeply") from None
    loose.setdefault("kind", gvk.kind)
    loose.setdefault("apiVersion", gvk.api_version)
    try:
        return typed_object(ctx, loose, gvk, None, [])
    except UnreadableObject as error:
        try:
            text, why = unreadable(kind, document, loose, type_name, error.why)
        except (RecursionError, orjson.JSONEncodeError):
            raise BadRequest("the patch is nested too deeply") from None
        raise invalid_patch(text, why) from None


def unreadable(kind: str, document: Any, loose: Obj, type_name: str, why: str) -> tuple[str, str]:
    """What upstream shows of a patched object that is not its kind's, and its words for why.

    A strategic patch is merged into Go's maps and restored from them, so that is what it shows.
    """
    if kind == MERGE_PATCH:
        return shown(loose, type_name, reached_by_merge(document)), why
    if kind == JSON_PATCH:
        return shown(loose, type_name, reached_by_operations(document)), why
    wrong = _WRONG_TYPE.match(why)
    if wrong is None:
        known = why.startswith(("strict decoding error", "no kind", "converting"))
        return go_value(document), why if known else f"error decoding from json: {why}"
    got, wanted = wrong.groups()
    if wanted.startswith("map["):
        return go_value(document), f"cannot restore map from {got}"
    if wanted.startswith("[]"):
        return go_value(document), f"cannot restore slice from {got}"
    if "." in wanted:
        return go_value(document), f"cannot restore struct from: {got}"
    return go_value(document), f"unrecognized type: {wanted}"


def go_value(value: Any) -> str:
    """A decoded JSON value as Go's %v prints it."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{k}:{go_value(v)}' for k, v in sorted(value.items()))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(go_value, value))}]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def invalid_patch(text: str, why: str) -> Invalid:
    """Upstream's error of a kind without a name: the cause is `patch`."""
    error = invalid("patch", text, why)
    return Invalid(
        f' "" is invalid: {error}',
        details={},
        causes=[StatusCause(error.kind, error.text(), error.path)],
    )


def _refused(error: PatchError) -> ApiError:
    text = str(error)
    if error.code == 400:
        return BadRequest(text)
    if error.code == 413:
        return RequestEntityTooLarge(text)
    if error.code == 500:
        return InternalError(text, code=500, reason="")
    return InternalError(
        "the server rejected our request due to an error in our request",
        code=422,
        reason="Invalid",
        details={},
    )
