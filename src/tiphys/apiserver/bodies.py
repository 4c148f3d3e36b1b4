"""Request bodies to objects: content types, kinds, strictness, and upstream's words.

Upstream: endpoints/handlers/{create,rest}.go (transformDecodeError), handlers/negotiation,
runtime/serializer.
"""

from typing import Final

import orjson

from tiphys.api.errors import BadRequest, UnsupportedMediaType
from tiphys.api.field_errors import invalid, invalid_object
from tiphys.api.meta import GroupVersionKind, Obj, at
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.custom_kind import CustomKind
from tiphys.apiserver.negotiation import JSON, PROTOBUF, YAML
from tiphys.codec import json, protobuf, yaml
from tiphys.codec.typed import DecodeError, json_kind, to_typed_knowing

_SHOWN: Final = 30  # Characters of a body that is not understood, in its error.
_NO_STRUCT: Final = (
    'Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\"";'
    ' Kind string "json:\\"kind,omitempty\\"" }'
)
# Versions that upstream no longer serves and still reads (k8s.io/api).
_OLDER: Final = {
    "v1": ("List",),
    "extensions/v1beta1": (
        ("Deployment", "DaemonSet", "ReplicaSet", "Ingress", "NetworkPolicy", "Scale")
    ),
    "apps/v1beta1": ("Deployment", "StatefulSet", "ControllerRevision", "Scale"),
    "apps/v1beta2": (
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ControllerRevision", "Scale")
    ),
    "batch/v1beta1": ("CronJob",),
    "policy/v1beta1": ("PodDisruptionBudget",),
    "networking.k8s.io/v1beta1": ("Ingress", "IngressClass"),
}
SCHEME: Final = "pkg/api/legacyscheme/scheme.go:30"
# Groups that upstream serves with servers of their own, which know nothing else.
_OWN_SCHEMES: Final = {
    "apiextensions.k8s.io": "k8s.io/apiextensions-apiserver/pkg/apiserver/apiserver.go:55",
    "apiregistration.k8s.io": "k8s.io/kube-aggregator/pkg/apiserver/scheme/scheme.go:28",
}


class UnreadableObject(BadRequest):
    """A document that is not the kind's; `why` is the bare reason, which patches show."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


def read_object(ctx: RequestContext, kind: GroupVersionKind) -> Obj:
    """The body as an object of a built-in kind; apiVersion and kind may be missing from it.

    Unknown and repeated fields are warned of, refused or ignored as `fieldValidation` says.
    Raises UnsupportedMediaType, BadRequest.
    """
    media_type = content_type(ctx)
    raw = ctx.request.body
    obj, duplicates = _parse(raw, media_type, kind)
    return typed_object(ctx, obj, kind, raw if media_type == JSON else None, duplicates)


def typed_object(
    ctx: RequestContext,
    obj: Obj,
    kind: GroupVersionKind,
    raw: bytes | None,
    duplicates: list[str],
) -> Obj:
    """A loose object in its kind's form; `raw` is its JSON text where duplicates may hide."""
    obj = _with_reset(obj)
    if ctx.endpoint.custom is not None and kind == ctx.endpoint.info.gvk:
        return _custom_object(ctx, ctx.endpoint.custom, obj, kind, raw, duplicates)
    ctx.given = obj
    try:
        _check_type_meta(obj)  # A patch may have changed them.
    except DecodeError as error:
        raise UnreadableObject(_cannot_be(kind, str(error)), str(error)) from None
    api_version = obj.get("apiVersion") or kind.api_version
    found_kind = obj.get("kind") or kind.kind
    type_name = protobuf.schema_type(kind.api_version, kind.kind)
    if (api_version, found_kind) != (kind.api_version, kind.kind) or type_name is None:
        why = why_wrong_kind(api_version, found_kind, kind)
        raise UnreadableObject(wrong_kind(api_version, found_kind, kind), why)
    try:
        made, is_known = to_typed_knowing(obj, type_name)
    except DecodeError as error:
        raise UnreadableObject(_cannot_be(kind, str(error)), str(error)) from None
    validation = ctx.param("fieldValidation") if ctx.request.query else ""
    if validation != "Ignore":
        unknown = json.strict_errors(obj, raw, type_name, is_known=is_known)
        _tell_strictly(ctx, kind, duplicates, unknown, strict=validation == "Strict")
    named: Obj = {"kind": kind.kind, "apiVersion": kind.api_version}
    made = named | made
    made.setdefault("metadata", {})
    return made


def _with_reset(obj: Obj) -> Obj:
    """An empty list of managed fields says the same as an empty entry, and types drop it."""
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") == []:
        return {**obj, "metadata": {**metadata, "managedFields": [{}]}}
    return obj


def _tell_strictly(
    ctx: RequestContext,
    kind: GroupVersionKind,
    duplicates: list[str],
    unknown: list[str],
    *,
    strict: bool,
) -> None:
    """Warn of what is unknown or there twice, or raise UnreadableObject for it."""
    texts = duplicates + unknown
    if not texts:
        return
    if strict:
        if duplicates:  # One error of the YAML library, with a line for each.
            texts = ["\n  ".join(["yaml: unmarshal errors:", *duplicates]), *unknown]
        why = f"strict decoding error: {', '.join(texts)}"
        raise UnreadableObject(_cannot_be(kind, why), why)
    ctx.warnings += texts


def _cannot_be(kind: GroupVersionKind, why: str) -> str:
    return f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}'


def _custom_object(
    ctx: RequestContext,
    custom: CustomKind,
    obj: Obj,
    kind: GroupVersionKind,
    raw: bytes | None,
    duplicates: list[str],
) -> Obj:
    """An object whose schema is a definition's."""
    given = obj.get("apiVersion") or kind.api_version
    if given != kind.api_version:
        text = (
            f"the API version in the data ({given}) does not match the expected API version"
            f" ({kind.api_version})"
        )
        raise UnreadableObject(text, text)
    if not obj.get("kind"):
        shown = orjson.dumps(obj).decode()
        text = f"Object 'Kind' is missing in '{shown}'"
        raise UnreadableObject(text, text)
    if obj["kind"] != kind.kind:
        error = invalid("kind", obj["kind"], f"must be {kind.kind}")
        raise invalid_object(kind.group, kind.kind, at(obj, "metadata", "name") or "", [error])
    try:
        made, unknown = custom.decoded(obj)
    except DecodeError as error:
        raise UnreadableObject(_cannot_be(kind, str(error)), str(error)) from None
    if custom.deprecation and custom.deprecation not in ctx.warnings:
        ctx.warnings.insert(0, custom.deprecation)  # Each try of a patch tells of its own.
    validation = ctx.param("fieldValidation") if ctx.request.query else ""
    if validation != "Ignore":
        twice = [*duplicates, *(json.duplicate_fields(obj, raw) if raw is not None else ())]
        texts = [f'unknown field "{path}"' for path in unknown]
        _tell_strictly(ctx, kind, twice, texts, strict=validation == "Strict")
    return made


def content_type(ctx: RequestContext) -> str:
    """Raises UnsupportedMediaType."""
    text = ctx.request.headers.get("content-type") or JSON
    media_type = text.partition(";")[0].strip().lower()
    is_custom = ctx.endpoint.custom is not None and ctx.info.subresource != "scale"
    accepted = (JSON, YAML) if is_custom else (JSON, YAML, PROTOBUF)
    if media_type not in accepted:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include:"
            f" {', '.join(accepted)}"
        )
    return media_type


def _parse(body: bytes, media_type: str, kind: GroupVersionKind) -> tuple[Obj, list[str]]:
    """The loose object, and what YAML found repeated. Raises BadRequest."""
    try:
        return parse_body(body, media_type, kind)
    except DecodeError as error:
        raise BadRequest(
            f"the object provided is unrecognized (must be of type {kind.kind}):"
            f" {error} ({_shown(body)})"
        ) from None


def parse_body(body: bytes, media_type: str, kind: GroupVersionKind) -> tuple[Obj, list[str]]:
    """Raises DecodeError."""
    if media_type == PROTOBUF:
        default = protobuf.schema_type(kind.api_version, kind.kind) or ""
        return protobuf.decode_object(body, default), []
    duplicates: list[str] = []
    try:
        if media_type == YAML:
            obj, duplicates = yaml.decode_strict(body)
        else:
            # A null leaves Go's structs as they are: empty.
            obj = {} if body.strip() == b"null" else json.decode(body)
        _check_type_meta(obj)
        return obj, duplicates
    except DecodeError as error:
        text = str(error).removeprefix("error converting YAML to JSON: ")
        if text.startswith("yaml:"):
            raise DecodeError(text) from None
        text = text.replace("Go value of type map", _NO_STRUCT)
        text = text.replace("unmarshal int into", "unmarshal number into")
        text = text.replace("unmarshal float into", "unmarshal number into")
        if text.startswith("unexpected GroupVersion"):
            raise DecodeError(text) from None
        raise DecodeError(f"couldn't get version/kind; json parse error: {text}") from None


def _check_type_meta(obj: Obj) -> None:
    """Raises DecodeError."""
    for name in ("apiVersion", "kind"):
        value = obj.get(name)
        if value is not None and not isinstance(value, str):
            where = f"Go struct field .{name} of type string"
            raise DecodeError(f"json: cannot unmarshal {json_kind(value)} into {where}")
        if name == "apiVersion" and value and value.count("/") > 1:
            raise DecodeError(f"unexpected GroupVersion string: {value}")


def wrong_kind(api_version: str, kind: str, wanted: GroupVersionKind) -> str:
    version = api_version.rpartition("/")[2]
    why = why_wrong_kind(api_version, kind, wanted)
    if why.startswith("the API version"):
        return why
    return f'{kind} in version "{version}" cannot be handled as a {wanted.kind}: {why}'


def why_wrong_kind(api_version: str, kind: str, wanted: GroupVersionKind) -> str:
    """Nobody knows the kind, or it is another one."""
    is_known = protobuf.schema_type(api_version, kind) or kind in _OLDER.get(api_version, ())
    if is_known and kind == wanted.kind and api_version in _OLDER:
        return (
            f"the API version in the data ({api_version}) does not match the expected API version"
            f" ({wanted.api_version})"
        )
    scheme = _OWN_SCHEMES.get(wanted.group, SCHEME)
    if wanted.group in _OWN_SCHEMES:
        is_known = is_known and api_version.startswith(wanted.group)
    if not is_known:
        return f'no kind "{kind}" is registered for version "{api_version}" in scheme "{scheme}"'
    version = api_version.rpartition("/")[2]
    group = wanted.group.partition(".")[0] or "core"
    return f"converting ({version}.{kind}) to ({group}.{wanted.kind}): unknown conversion"


def _shown(body: bytes) -> str:
    """A short body that looks like JSON as it is, another one in hexadecimal."""
    if not body:
        return "<empty>"
    part = body[:_SHOWN]
    text = part.decode("utf-8", "replace") if body[:1] == b"{" else part.hex()
    return f"{text} ..." if len(body) > _SHOWN else text
