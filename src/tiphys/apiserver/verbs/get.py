"""GET of one object: bytes of the cache. Upstream: endpoints/handlers/get.go (GetResource)."""

from typing import Final

from tiphys.api.errors import BadRequest, Timeout, not_found
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.list_options import get_revision
from tiphys.apiserver.responses import object_answer
from tiphys.lib.http.message import Answer
from tiphys.storage.cached_object import CachedObject

# Upstream serves these by a handler of its own, with a word of its own.
_NAMED_OTHERWISE: Final = {"componentstatuses": "componentstatus"}


def get(ctx: RequestContext) -> Answer:
    """Answers without a coroutine. Raises NotFound, NotAcceptable, Timeout."""
    if ctx.request.query:
        if "export" in ctx.params and ctx.param("export") not in {"false", "0"}:
            raise BadRequest("the export parameter, deprecated since v1.14, is no longer supported")
        check_revision(ctx, get_revision(ctx.param("resourceVersion")))
    cached = ctx.endpoint.cache.get(ctx.key)
    if cached is None:
        ctx.media()  # Not acceptable comes before not found.
    return object_answer(ctx, 200, cached or stored(ctx))


def stored(ctx: RequestContext) -> CachedObject:
    """The object that the request names. Raises NotFound."""
    endpoint = ctx.endpoint
    cached = endpoint.cache.get(ctx.key)
    if cached is None:
        plural = _NAMED_OTHERWISE.get(endpoint.info.plural, endpoint.info.plural)
        raise not_found(endpoint.info.group, plural, ctx.info.name)
    return cached


def check_revision(ctx: RequestContext, revision: int) -> None:
    """Raises Timeout for a revision that the store has not reached; upstream storage/errors.go."""
    current = ctx.server.store.revision
    if revision > current:
        raise revision_too_large(revision, current)


def revision_too_large(revision: int, current: int) -> Timeout:
    from tiphys.api.errors import StatusCause

    return Timeout(
        f"Too large resource version: {revision}, current: {current}",
        causes=[StatusCause("ResourceVersionTooLarge", "Too large resource version")],
        retry_after_seconds=1,
    )
