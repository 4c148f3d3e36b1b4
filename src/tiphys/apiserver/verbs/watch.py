"""WATCH: events of the cache as a stream: lines of JSON, counted protobuf, or a WebSocket.

Without a resourceVersion the objects that exist come first. `sendInitialEvents` ends them with a
marked bookmark. Other views (metadata only, Table) are rendered once per event for all watchers.
Upstream: endpoints/handlers/watch.go, pkg/storage/cacher.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import orjson

from tiphys.api.errors import ApiError, BadRequest, Expired
from tiphys.api.meta import Obj
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.list_options import ListOptions, get_revision, parse_list_options
from tiphys.apiserver.negotiation import JSON, PROTOBUF, MediaType
from tiphys.apiserver.responses import CACHE_CONTROL, PIECE_BYTES, warning_headers
from tiphys.apiserver.selection import Selection, select
from tiphys.apiserver.verbs.get import revision_too_large
from tiphys.apiserver.watch_frames import is_websocket
from tiphys.lib.http.flow import BodyWriter
from tiphys.lib.http.message import Answer, Headers, StreamResponse
from tiphys.storage.backend import Compacted
from tiphys.storage.cached_object import CachedObject
from tiphys.storage.watch_cache import View, Watcher, encode_event

BOOKMARK_SECONDS: Final = 60.0  # Upstream's cacher: about once a minute.
TIMEOUT_SECONDS_MIN: Final = 1800  # Upstream's --min-request-timeout; up to twice that.
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"
# JSON never says that it is a stream, whatever was asked for.
_HEADERS: Final[dict[str, Headers]] = {
    JSON: (CACHE_CONTROL, ("Content-Type", JSON)),
    PROTOBUF: (CACHE_CONTROL, ("Content-Type", f"{PROTOBUF};stream=watch")),
}


def watch(ctx: RequestContext) -> Answer:
    """Raises Invalid, BadRequest, Timeout, NotAcceptable; a revision too old is an ERROR event."""
    media = ctx.media("watch")
    options = parse_list_options(ctx.params, watch=True)
    if ctx.info.is_legacy_watch and ctx.info.name:
        _check_name(ctx, options.field_selector)
        terms = [t for t in (options.field_selector, f"metadata.name={ctx.name}") if t]
        options = replace(options, field_selector=",".join(terms))
    selection = select(ctx.endpoint, ctx.namespace, options)
    revision = get_revision(options.resource_version)
    if revision > ctx.server.store.revision:
        raise revision_too_large(revision, ctx.server.store.revision)
    headers = (*_HEADERS[media.type], *warning_headers(ctx.warnings))
    if media.as_kind == "PartialObjectMetadataList":
        return StreamResponse(200, _nothing, headers)  # No event is a list, so none can be shown.
    as_messages = is_websocket(ctx.request)
    views = ctx.server.views.watch_views(ctx, media, as_messages=as_messages)
    run = _Stream(ctx, options, selection, revision, media, views).run
    if as_messages:
        from tiphys.apiserver.watch_socket import socket_answer  # Few watches come so.

        return socket_answer(ctx.request, run)
    return StreamResponse(200, run, headers)


def _check_name(ctx: RequestContext, field_selector: str) -> None:
    """A name in the path and another one in the selector cannot both be meant."""
    for term in field_selector.split(","):
        name, _, value = term.partition("=")
        if name == "metadata.name" and value.removeprefix("=") != ctx.name:
            raise BadRequest("fieldSelector metadata.name doesn't match requested name")


@dataclass(slots=True)
class _Stream:
    ctx: RequestContext
    options: ListOptions
    selection: Selection
    revision: int
    media: MediaType
    views: tuple[View, View | None]  # Of the first event, and of those after it if they differ.

    async def run(self, body: BodyWriter) -> None:
        first, later = self.views
        watcher = Watcher(body, first, later)
        try:
            stop = await self._begin(body, watcher)
        except Compacted as error:
            status = _too_old(self.revision, error.oldest).to_status()
            body.write(first.frame("ERROR", first.encode(status)))
            return
        try:
            body.on_writable(watcher.flush)
            watcher.release()
            await self._until_end(body, watcher)
        finally:
            stop()

    async def _begin(self, body: BodyWriter, watcher: Watcher) -> Callable[[], None]:
        """Register the watcher; write initial events where they are wanted."""
        cache, wanted = self.ctx.endpoint.cache, self.selection.wanted
        matches = self.selection.matches
        initial = self.options.send_initial_events
        if (self.revision and not initial) or initial is False:
            after = self.revision or self.ctx.server.store.revision
            return cache.watch(watcher, wanted, matches, after)
        # The snapshot and the start of the watch are one step: nothing comes between.
        now = self.ctx.server.store.revision
        if wanted.exact:
            one = cache.get(wanted.prefix)
            objects = [one] if one else []
        else:
            objects = cache.range(wanted.prefix)
        stop = cache.watch(watcher, wanted, matches, now)
        try:
            await self._write_initial(body, watcher, objects)
        except BaseException:
            stop()
            raise
        if initial and self.options.allow_bookmarks:
            self._write_bookmark(body, watcher, now, {INITIAL_EVENTS_END: "true"})
        return stop

    async def _write_initial(
        self, body: BodyWriter, watcher: Watcher, objects: list[CachedObject]
    ) -> None:
        cache, matches = self.ctx.endpoint.cache, self.selection.matches
        held: list[bytes] = []
        held_bytes = 0
        for obj in objects:
            if matches is not None and not cache.is_selected(obj, matches):
                continue
            view = watcher.view
            event = view.frame("ADDED", view.show(obj))
            watcher.begun()
            held.append(event)
            held_bytes += len(event)
            if held_bytes >= PIECE_BYTES:
                body.write(b"".join(held))
                held, held_bytes = [], 0
                await body.pause()
        body.write(b"".join(held))

    def _write_bookmark(
        self, body: BodyWriter, watcher: Watcher, revision: int, annotations: Obj
    ) -> None:
        view = watcher.view
        shown = self.ctx.server.views.bookmark(self.ctx, self.media, revision, annotations)
        body.write(view.frame("BOOKMARK", view.encode(shown)))
        watcher.begun()

    async def _until_end(self, body: BodyWriter, watcher: Watcher) -> None:
        """Send bookmarks until the timeout, the server's stop, or the client leaves."""
        seconds = self.options.timeout_seconds or 0
        if seconds <= 0:
            seconds = int(TIMEOUT_SECONDS_MIN * (1 + random.random()))
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0 and not body.closed:
            try:
                async with asyncio.timeout(min(left, BOOKMARK_SECONDS)):
                    await body.stopping.wait()
                return
            except TimeoutError:
                if self.options.allow_bookmarks and body.writable and not body.closed:
                    self._write_bookmark(body, watcher, self.ctx.server.store.revision, {})


async def _nothing(body: BodyWriter) -> None:
    """A stream that ends at once."""


def error_event(error: ApiError) -> bytes:
    """An error as a watch in JSON tells it."""
    return encode_event("ERROR", orjson.dumps(error.to_status()))


def _too_old(revision: int, oldest: int) -> Expired:
    return Expired(f"too old resource version: {revision} ({oldest})")
