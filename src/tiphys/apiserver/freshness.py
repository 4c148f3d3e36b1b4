"""Where other servers write to the store too, the caches are proved current before they answer.

A request that says how old its answer may be (resourceVersion) waits for that revision; any other
waits until the caches have all that was written before it came. That holds for writes as well:
what they read, admit and compare comes from the caches. Where nobody else writes there is nothing
to prove, and none of this runs.
Upstream: apiserver pkg/storage/cacher (consistent reads, KEP-2340; blockTimeout).
"""

import asyncio
from collections.abc import Awaitable
from typing import Final

from tiphys.api.errors import ServiceUnavailable
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.list_options import parse_revision
from tiphys.apiserver.routes import serve
from tiphys.lib.http.message import Answer
from tiphys.storage.backend import StorageError
from tiphys.storage.store import Store

REVISION_SECONDS_MAX: Final = 3.0  # Upstream's blockTimeout: then the revision is "too large".
CURRENT_SECONDS_MAX: Final = 15.0  # The question (10 s, see etcd's client), then the watch.
RETRY_SECONDS: Final = 1
_READS: Final = frozenset({"get", "list", "watch"})


def wanted_revision(verb: str, resource_version: str) -> int | None:
    """The revision that the caches must have; 0: whatever they have; None: all that is written."""
    if verb not in _READS or not resource_version:
        return None
    try:
        return parse_revision(resource_version)
    except ValueError:
        return 0  # The verb has its own words for it.


async def serve_fresh(ctx: RequestContext) -> Answer:
    """Serve a request on caches that are new enough for it. Raises ApiError."""
    version = ctx.param("resourceVersion") if ctx.request.query else ""
    wanted = wanted_revision(ctx.info.verb, version)
    store = ctx.server.store
    if wanted is None:
        await prove_current(store)
    elif wanted > store.revision:
        await _until(store, wanted)
    work = serve(ctx)
    return await work if isinstance(work, Awaitable) else work


async def prove_current(store: Store) -> None:
    """Raises ServiceUnavailable, which clients take as "try again", when the store is silent."""
    try:
        async with asyncio.timeout(CURRENT_SECONDS_MAX):
            await store.current()
    except (StorageError, TimeoutError) as error:
        why = str(error) or f"nothing came in {CURRENT_SECONDS_MAX:.0f} s"
        text = f"the store does not say whether this server is up to date: {why}"
        raise ServiceUnavailable(text, retry_after_seconds=RETRY_SECONDS) from error


async def _until(store: Store, revision: int) -> None:
    """Wait a while; the verb says so when it was not enough."""
    try:
        async with asyncio.timeout(REVISION_SECONDS_MAX):
            await store.reached(revision)
    except (TimeoutError, StorageError):
        return
