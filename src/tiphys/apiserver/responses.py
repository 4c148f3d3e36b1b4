"""Answers as bytes: an object of the cache, a document, a list, a Status.

The common case (one object as JSON) joins three byte strings and nothing else.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

import orjson

from tiphys.api.errors import ApiError, NotAcceptable
from tiphys.api.field_errors import go_quoted
from tiphys.api.meta import Obj
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.negotiation import JSON, PROTOBUF, YAML, MediaType, error_media
from tiphys.apiserver.warning_bounds import CONTROL, WARNING_CUT, WARNINGS_MAX
from tiphys.codec import protobuf, yaml
from tiphys.codec.typed import DecodeError
from tiphys.lib.http.flow import BodyWriter
from tiphys.lib.http.message import Answer, Headers, Pieces, Response, StreamResponse
from tiphys.storage.cached_object import CachedObject

CACHE_CONTROL: Final = ("Cache-Control", "no-cache, private")
JSON_HEADERS: Final[Headers] = (CACHE_CONTROL, ("Content-Type", JSON))
TEXT_HEADERS: Final[Headers] = (CACHE_CONTROL, ("Content-Type", "text/plain; charset=utf-8"))
GZIP_BYTES_MIN: Final = 128 * 1024  # Upstream's defaultGzipThresholdBytes.
GZIP_LEVEL: Final = 1  # Upstream's defaultGzipContentEncodingLevel.
PIECE_BYTES: Final = 64 * 1024
_NO_MARKUP: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def object_answer(ctx: RequestContext, status: int, cached: CachedObject) -> Answer:
    """An object of the endpoint's cache. Raises NotAcceptable."""
    media = ctx.media()
    endpoint = ctx.endpoint
    if media.type == JSON and not media.as_kind and not ctx.pretty(media) and not ctx.warnings:
        body = b"%b%b\n" % (endpoint.head, endpoint.shown(cached).tail)
        return Response(status, body, JSON_HEADERS)
    return document_answer(ctx, status, endpoint.decode(cached), media)


def document_answer(
    ctx: RequestContext, status: int, obj: Obj, media: MediaType | None = None
) -> Answer:
    """Any object, in the negotiated form. Raises NotAcceptable."""
    media = media or ctx.media()
    if media.as_kind:
        obj = ctx.server.views.render(ctx, media, obj)
    body = encode(obj, media, pretty=ctx.pretty(media))
    headers: Headers = (CACHE_CONTROL, ("Content-Type", media.type), *warning_headers(ctx.warnings))
    return bytes_answer(ctx, status, body, headers)


def status_answer(ctx: RequestContext, error: ApiError) -> Response:
    """An error as metav1.Status in the form that the client accepts."""
    media = ctx.error_media()
    body = encode(error.to_status(), media, pretty=ctx.pretty(media))
    headers: Headers = (CACHE_CONTROL, ("Content-Type", media.type), *warning_headers(ctx.warnings))
    if error.retry_after_seconds:
        headers = (*headers, ("Retry-After", str(error.retry_after_seconds)))
    return Response(error.code, body, headers)


def error_response(error: ApiError, accept: str = "") -> Response:
    """An error where there is no context."""
    media = error_media(accept)
    body = encode(error.to_status(), media, pretty=False)
    return Response(error.code, body, (CACHE_CONTROL, ("Content-Type", media.type)))


def failed_response(target: str, why: str) -> Response:
    """An error that upstream tells as plain text. Source: responsewriters.InternalError."""
    text = f"Internal Server Error: {go_quoted(target)}: {why}\n"
    return Response(500, text.translate(_NO_MARKUP).encode(), TEXT_HEADERS)


def encode(obj: Obj, media: MediaType, *, pretty: bool) -> bytes:
    """JSON, YAML or protobuf bytes. Raises NotAcceptable for what has no protobuf form (tables)."""
    if media.type == YAML:
        return yaml.encode(obj)
    if media.type == PROTOBUF:
        try:
            return protobuf.encode_object(obj)
        except DecodeError:
            raise NotAcceptable(
                f"object *v1.{obj.get('kind')} does not implement the protobuf marshalling"
                " interface and cannot be encoded to a protobuf message",
                details={},
            ) from None
    option = orjson.OPT_INDENT_2 if pretty else None
    return orjson.dumps(obj, option=option) + b"\n"


def bytes_answer(
    ctx: RequestContext, status: int, body: bytes | Pieces, headers: Headers
) -> Answer:
    """Big bodies are compressed where the client can read that, piece by piece."""
    size = len(body) if isinstance(body, bytes) else body.length
    if size > GZIP_BYTES_MIN and "gzip" in ctx.request.headers.get("accept-encoding", ""):
        more: Headers = (("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
        pieces = (body,) if isinstance(body, bytes) else body
        return StreamResponse(status, _Compressor(pieces).write, (*headers, *more))
    return Response(status, body, headers)


class _Compressor:
    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces

    async def write(self, body: BodyWriter) -> None:
        # 31: the gzip format with the largest window.
        squeeze = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
        for piece in self._pieces:
            for start in range(0, len(piece), PIECE_BYTES):
                body.write(squeeze.compress(piece[start : start + PIECE_BYTES]))
                await body.pause()
        body.write(squeeze.flush())


def warning_headers(warnings: Iterable[str]) -> Headers:
    """`Warning: 299 - "text"` for each, once, within upstream's bounds."""
    texts = [text for text in dict.fromkeys(warnings) if text and not CONTROL.search(text)]
    return tuple(("Warning", f'299 - "{_quoted(text)}"') for text in _bounded(texts))


def _bounded(texts: list[str]) -> Iterator[str]:
    """From the text on that is too much all of them are cut, and of those behind it as many are
    left as there is room for."""
    sizes = list(accumulate(len(text) for text in texts))
    fitting = sum(size <= WARNINGS_MAX for size in sizes)
    if fitting == len(texts):
        yield from texts
        return
    written = 0
    for index, text in enumerate(texts):
        if index > fitting and written >= WARNINGS_MAX:
            return
        written += len(text[:WARNING_CUT])
        yield text[:WARNING_CUT]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def joined(tails: Sequence[bytes], start: bytes, end: bytes, head: bytes = b"{") -> bytes | Pieces:
    """A JSON array's items from object tails: whole, or in pieces of at most about PIECE_BYTES."""
    between = b"," + head
    length = len(start) + sum(map(len, tails)) + len(between) * len(tails) + len(end)
    length -= 1 if tails else 0
    if length > PIECE_BYTES:
        return Pieces(length, lambda: _pieces(tails, start + head, between, end))
    return start + (head if tails else b"") + between.join(tails) + end


def _pieces(tails: Sequence[bytes], opening: bytes, between: bytes, end: bytes) -> Iterator[bytes]:
    held: list[bytes] = []
    held_bytes = 0
    for tail in tails:
        if held and held_bytes + len(tail) > PIECE_BYTES:
            yield opening + between.join(held)
            opening, held, held_bytes = between, [], 0
        held.append(tail)
        held_bytes += len(between) + len(tail)
    yield opening + between.join(held) + end
