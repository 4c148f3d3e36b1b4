"""LIST: cached bytes joined, in pages where the client asks for them.

A first page reads the cache; later pages read the same snapshot, from the cache while nothing has
changed and from the store's history otherwise. Upstream: endpoints/handlers/get.go (ListResource),
pkg/storage/continue.go.
"""

import base64
import binascii
import string
from dataclasses import dataclass, replace
from typing import Final

import orjson

from tiphys.api.errors import BadRequest, Expired
from tiphys.api.meta import Obj
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.list_options import ListOptions, list_revision, parse_list_options
from tiphys.apiserver.negotiation import JSON
from tiphys.apiserver.responses import (
    CACHE_CONTROL,
    JSON_HEADERS,
    bytes_answer,
    document_answer,
    joined,
    warning_headers,
)
from tiphys.apiserver.selection import Selection, select
from tiphys.apiserver.verbs.get import check_revision
from tiphys.lib.clock import Clock
from tiphys.lib.http.message import Answer
from tiphys.storage.backend import Compacted, FutureRevision
from tiphys.storage.cached_object import CachedObject
from tiphys.storage.watch_cache import Matches

FILTER_SECONDS_MAX: Final = 0.005  # Filtering gives up the loop after this long.
_CLOCK_EVERY: Final = 64  # Objects between two looks at the clock.
_BASE64: Final = frozenset(string.ascii_letters + string.digits + "-_")
CONTINUE_VERSION: Final = "meta.k8s.io/v1"
EXPIRED_TEXT: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can"
    " start a new list without the continue parameter, or use the continue token in this response"
    " to retrieve the remainder of the results. Continuing with the provided token results in an"
    " inconsistent list - objects that were created, modified, or deleted between the time the"
    " first chunk was returned and now may show up in the list."
)
EXACT_EXPIRED_TEXT: Final = "The resourceVersion for the provided list is too old."


class ExpiredContinue(Expired):
    """Carries a token with which to go on, in the present and not in the old snapshot."""

    def __init__(self, token: str) -> None:
        super().__init__(EXPIRED_TEXT)
        self.token = token

    def to_status(self) -> Obj:
        return super().to_status() | {"metadata": {"continue": self.token}}


@dataclass(slots=True)
class Page:
    """What a list answers with. remaining is None where it is not known."""

    items: list[CachedObject]
    revision: int
    continue_: str = ""
    remaining: int | None = None


async def list_(ctx: RequestContext) -> Answer:
    """Raises Invalid, BadRequest, Expired, Timeout, NotAcceptable."""
    media = ctx.media("list")
    options = parse_list_options(ctx.params, watch=False)
    page = await read_page(ctx, options, select(ctx.endpoint, ctx.namespace, options))
    endpoint = ctx.endpoint
    metadata = list_metadata(page, endpoint)
    if media.type == JSON and not media.as_kind and not ctx.pretty(media):
        start = b'%b"metadata":%b,"items":[' % (endpoint.list_head, orjson.dumps(metadata))
        tails = [endpoint.shown(item).tail for item in page.items]
        headers = JSON_HEADERS
        if ctx.warnings:
            headers = (CACHE_CONTROL, ("Content-Type", JSON), *warning_headers(ctx.warnings))
        return bytes_answer(ctx, 200, joined(tails, start, b"]}\n", endpoint.item_head), headers)
    document = {
        "kind": endpoint.list_kind,
        "apiVersion": endpoint.info.gvk.api_version,
        "metadata": metadata,
        "items": items_of(page, endpoint),
    }
    return document_answer(ctx, 200, document, media)


def items_of(page: Page, endpoint: Endpoint) -> list[Obj]:
    """Decoded. Items of built-in lists say neither kind nor apiVersion."""
    found = [endpoint.decode(item) for item in page.items]
    return found if endpoint.custom else [_without_kind(obj) for obj in found]


def _without_kind(obj: Obj) -> Obj:
    return {k: v for k, v in obj.items() if k not in {"kind", "apiVersion"}}


def list_metadata(page: Page, endpoint: Endpoint) -> Obj:
    metadata: Obj = {"resourceVersion": str(page.revision)}
    if page.continue_ or endpoint.custom:  # Upstream writes it empty in lists of maps.
        metadata["continue"] = page.continue_
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
    return metadata


async def read_page(ctx: RequestContext, options: ListOptions, selection: Selection) -> Page:
    """The objects of a list. Raises BadRequest, Expired, Timeout."""
    prefix = selection.wanted.prefix
    if options.continue_:
        start, revision = decode_continue(options.continue_, prefix)
        # Upstream allows "" and "0" beside a token.
        if options.resource_version not in {"", "0"}:
            raise BadRequest("specifying resource version is not allowed when using continue")
        if options.resource_version == "0":
            options = replace(options, limit=0)  # Upstream's cache answers, which has no pages.
        return await _page_at(ctx, options, selection, start, revision)
    revision = list_revision(options.resource_version)
    check_revision(ctx, revision)
    if options.resource_version_match == "Exact" and revision:
        return await _page_at(ctx, options, selection, "", revision)
    return await _page_now(ctx, options, selection, "")


async def _page_now(
    ctx: RequestContext, options: ListOptions, selection: Selection, start: str
) -> Page:
    cache = ctx.endpoint.cache
    revision = ctx.server.store.revision
    if selection.wanted.exact:
        one = cache.get(selection.wanted.prefix)
        found = [one] if one is not None else []
    else:
        found = cache.range(selection.wanted.prefix, start)
    return await _paged(ctx, options, selection, found, revision)


async def _page_at(
    ctx: RequestContext, options: ListOptions, selection: Selection, start: str, revision: int
) -> Page:
    """The list as of a revision; negative or 0 means now (an inconsistent continuation)."""
    cache, store = ctx.endpoint.cache, ctx.server.store
    if revision <= 0:
        return await _page_now(ctx, options, selection, start)
    if cache.changed_at <= revision <= store.revision:
        page = await _page_now(ctx, options, selection, start)
        page.revision = revision
        return page
    try:
        read = await store.backend.range(selection.wanted.prefix, start=start, revision=revision)
    except Compacted:
        raise _expired(options, selection, start) from None
    except FutureRevision:
        raise _bad_continue(f"its snapshot {revision} is not there yet") from None
    found = [cache.spliced(kv.key, kv.value, kv.revision) for kv in read.items]
    if selection.wanted.exact:
        found = [item for item in found if item.key == selection.wanted.prefix]
    return await _paged(ctx, options, selection, found, revision)


def _expired(options: ListOptions, selection: Selection, start: str) -> Expired:
    if not options.continue_:
        return Expired(EXACT_EXPIRED_TEXT)
    return ExpiredContinue(encode_continue(start, -1, selection.wanted.prefix))


async def _paged(
    ctx: RequestContext,
    options: ListOptions,
    selection: Selection,
    found: list[CachedObject],
    revision: int,
) -> Page:
    """Cut to the limit; with a selector, count matching objects and not what was looked at."""
    limit = options.limit
    if selection.matches is None:
        if not 0 < limit < len(found):
            return Page(found, revision)
        prefix = selection.wanted.prefix
        token = encode_continue(found[limit].key, revision, prefix)
        return Page(found[:limit], revision, token, len(found) - limit)
    items, rest = await filtered(ctx, found, selection.matches, limit, ctx.server.clock)
    if rest is None:
        return Page(items, revision)
    return Page(items, revision, encode_continue(rest, revision, selection.wanted.prefix))


async def filtered(
    ctx: RequestContext, found: list[CachedObject], matches: Matches, limit: int, clock: Clock
) -> tuple[list[CachedObject], str | None]:
    """Matching objects up to the limit, and the key to go on from if there are more."""
    cache = ctx.endpoint.cache
    items: list[CachedObject] = []
    until = clock.monotonic() + FILTER_SECONDS_MAX
    for count, item in enumerate(found):
        if limit and len(items) == limit:
            return items, item.key
        if cache.is_selected(item, matches):
            items.append(item)
        if count % _CLOCK_EVERY == 0 and clock.monotonic() > until:
            await clock.sleep(0)
            until = clock.monotonic() + FILTER_SECONDS_MAX
    return items, None


def encode_continue(start_key: str, revision: int, prefix: str) -> str:
    """An opaque token: where to go on, in which snapshot (-1: the latest)."""
    token = {"v": CONTINUE_VERSION, "rv": revision, "start": start_key.removeprefix(prefix)}
    return base64.urlsafe_b64encode(orjson.dumps(token)).rstrip(b"=").decode()


def decode_continue(text: str, prefix: str) -> tuple[str, int]:
    """(start key, revision). Raises BadRequest."""
    bad_at = next((i for i, c in enumerate(text) if c not in _BASE64), -1)
    if bad_at >= 0 or len(text) % 4 == 1:
        raise _bad_continue(f"illegal base64 data at input byte {max(bad_at, 0)}")
    try:
        token = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        version, revision, start = token.get("v"), token.get("rv"), token.get("start")
    except (binascii.Error, ValueError, AttributeError) as error:
        raise _bad_continue(str(error)) from None
    if version != CONTINUE_VERSION:
        raise _bad_continue(f"server does not recognize this encoded version {version or ''}")
    if not isinstance(revision, int) or not revision:
        raise _bad_continue(f"incorrect encoded start resourceVersion (version {CONTINUE_VERSION})")
    if not isinstance(start, str) or not start:
        raise _bad_continue(f"encoded start key empty (version {CONTINUE_VERSION})")
    if start.startswith("/") or "/../" in f"/{start}/":
        raise _bad_continue(f"encoded start key invalid: {start}")
    return prefix + start, revision


def _bad_continue(why: str) -> BadRequest:
    return BadRequest(f"invalid continue token: continue key is not valid: {why}")
