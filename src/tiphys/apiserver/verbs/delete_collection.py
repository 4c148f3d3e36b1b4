"""DELETECOLLECTION: delete what a list would show. Upstream: generic/registry/store.go."""

import asyncio
from typing import Final

from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.list_options import parse_list_options
from tiphys.apiserver.responses import document_answer
from tiphys.apiserver.selection import select
from tiphys.apiserver.verbs.delete import delete_object, read_delete_options
from tiphys.apiserver.verbs.list import items_of, list_metadata, read_page
from tiphys.lib.http.message import Answer
from tiphys.storage.cached_object import CachedObject

WORKERS: Final = 64  # Deletions under way at once: they share a commit.


async def delete_collection(ctx: RequestContext) -> Answer:
    """Answers with the list of what was deleted. Raises as list and delete do."""
    ctx.media("list")
    endpoint = ctx.endpoint
    options = parse_list_options(ctx.params, watch=False)
    page = await read_page(ctx, options, select(endpoint, ctx.namespace, options))
    delete_options = read_delete_options(ctx)
    limit = asyncio.Semaphore(WORKERS)

    async def one(item: CachedObject) -> None:
        async with limit:
            try:
                await delete_object(ctx, endpoint, item, delete_options)
            except NotFound:
                return  # Somebody else was faster.

    await asyncio.gather(*(one(item) for item in page.items))
    document: Obj = {
        "kind": endpoint.list_kind,
        "apiVersion": endpoint.info.gvk.api_version,
        "metadata": list_metadata(page, endpoint),
        "items": items_of(page, endpoint),
    }
    return document_answer(ctx, 200, document)
