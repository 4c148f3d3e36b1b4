"""Request bodies to objects: content types, kinds, and upstream's words for what is wrong.

Upstream: endpoints/handlers/create.go, handlers/negotiation, runtime/serializer.
"""

from typing import Any, Final

import orjson
import yaml

from tiphys.api.errors import BadRequest, UnsupportedMediaType
from tiphys.api.meta import GroupVersionKind, Obj
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.negotiation import JSON, PROTOBUF, YAML

_SHOWN_BYTES: Final = 30  # Of a body that is not understood, in its error.


def read_object(ctx: RequestContext, kind: GroupVersionKind) -> Obj:
    """The body as an object of a kind; apiVersion and kind may be missing from it.

    Raises UnsupportedMediaType, BadRequest.
    """
    media_type = content_type(ctx)
    obj = decode(ctx.request.body, media_type, kind)
    found_version = obj.get("apiVersion") or kind.api_version
    found_kind = obj.get("kind") or kind.kind
    if (found_version, found_kind) != (kind.api_version, kind.kind):
        raise BadRequest(wrong_kind(found_version, found_kind, kind))
    obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind
    if not isinstance(obj.get("metadata"), dict):
        obj["metadata"] = {}
    return obj


def content_type(ctx: RequestContext) -> str:
    """Raises UnsupportedMediaType."""
    text = ctx.request.headers.get("content-type") or JSON
    media_type = text.partition(";")[0].strip().lower()
    if media_type not in {JSON, YAML, PROTOBUF}:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include:"
            f" {JSON}, {YAML}, {PROTOBUF}"
        )
    return media_type


def decode(body: bytes, media_type: str, kind: GroupVersionKind) -> Obj:
    """Raises BadRequest."""
    unrecognized = f"the object provided is unrecognized (must be of type {kind.kind})"
    found: Any
    if media_type == PROTOBUF:
        from tiphys.codec import protobuf

        found = protobuf.decode(body)
    elif media_type == YAML:
        try:
            found = yaml.load(body, Loader=_Loader)
        except yaml.YAMLError as error:
            raise BadRequest(f"{unrecognized}: yaml: {error} ({_shown(body)})") from None
    else:
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            text = f"{unrecognized}: couldn't get version/kind; json parse error: {error}"
            raise BadRequest(f"{text} ({_shown(body)})") from None
    if found is None:
        found = {}
    if not isinstance(found, dict):
        raise BadRequest(f"{unrecognized}: couldn't get version/kind; json parse error")
    return found


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def wrong_kind(api_version: str, kind: str, wanted: GroupVersionKind) -> str:
    version = api_version.rpartition("/")[2]
    group = wanted.group.partition(".")[0] or "core"
    return (
        f'{kind} in version "{version}" cannot be handled as a {wanted.kind}:'
        f" converting ({version}.{kind}) to ({group}.{wanted.kind}): unknown conversion"
    )


def _shown(body: bytes) -> str:
    text = body[:_SHOWN_BYTES].decode("utf-8", "replace")
    return f"{text} ..." if len(body) > _SHOWN_BYTES else text
