"""Watch events of a list path, as they come. Upstream: apimachinery pkg/watch."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import orjson

from tiphys.api.errors import ServiceUnavailable, from_status
from tiphys.api.meta import Obj
from tiphys.client.rest import Client, Query
from tiphys.lib.http.client import HttpError


class WatchEvent(NamedTuple):
    type: str  # ADDED, MODIFIED, DELETED or BOOKMARK
    object: Obj


async def watch(
    client: Client, path: str, query: Query, *, accept: str = ""
) -> AsyncIterator[WatchEvent]:
    """Events until the server ends the watch. Raises ApiError (an ERROR event too)."""
    headers = {"Accept": accept} if accept else {}
    stream = await client.stream("GET", path, query={**query, "watch": True}, headers=headers)
    try:
        async for line in stream.lines():
            if not line:
                continue
            event = orjson.loads(line)
            if event["type"] == "ERROR":
                status = event["object"]
                raise from_status(status, int(status.get("code") or 500))
            yield WatchEvent(event["type"], event["object"])
    except HttpError as exc:
        raise ServiceUnavailable(f"watch {path}: {exc}") from exc
    finally:
        stream.close()
