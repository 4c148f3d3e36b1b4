"""Kubernetes events as lines of the cluster's log: kept when the API server has forgotten them.

How far the watch has come is in the store's transaction: an event's every change is there once.
Nothing is cached, an event is forgotten when it is stored.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Final

from tiphys.api.errors import ApiError, Expired, Gone, ServiceUnavailable
from tiphys.api.meta import GroupVersionResource, Obj, at, metadata, parse_time
from tiphys.client.informer import INITIAL_EVENTS_END
from tiphys.client.rest import Client, path_of
from tiphys.client.watch import WatchEvent, watch
from tiphys.lib.backoff import Backoff
from tiphys.lib.clock import Clock
from tiphys.logstore.index import EVENTS, Position, Source
from tiphys.logstore.record import record
from tiphys.logstore.store import Batch, LogStore

log = logging.getLogger(__name__)

RESOURCE: Final = GroupVersionResource("", "v1", "events")
DEVICE, INODE = -1, 1  # The place of the watch among the positions of files.
PENDING_MAX: Final = 4096  # Events that wait for the store; then the watch is not read on.
WAIT_SECONDS: Final = 0.2
WATCH_TIMEOUT_SECONDS: Final = 400
RETRY_INITIAL_SECONDS: Final = 0.1
RETRY_MAX_SECONDS: Final = 10.0


def text_of(event: Obj) -> str:
    """`Warning BackOff Pod/web-1 kubelet: Back-off restarting failed container (x3)`."""
    involved = event.get("involvedObject") or {}
    who = at(event, "source", "component") or event.get("reportingComponent") or ""
    count = at(event, "series", "count") or event.get("count") or 1
    times = f" (x{count})" if count > 1 else ""
    return (
        f"{event.get('type', '')} {event.get('reason', '')}"
        f" {involved.get('kind', '')}/{involved.get('name', '')}"
        f" {who}: {event.get('message', '')}{times}"
    )


def time_of(event: Obj) -> datetime:
    """When it was seen last. Raises ValueError."""
    found = (
        at(event, "series", "lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event.get("firstTimestamp")
        or metadata(event).get("creationTimestamp")
    )
    return parse_time(str(found))


def source_of(event: Obj) -> Source:
    """A pod's events are found by its name, as its lines."""
    involved = event.get("involvedObject") or {}
    is_pod = involved.get("kind") == "Pod"
    return Source(
        str(involved.get("namespace") or metadata(event).get("namespace", "")),
        str(involved.get("name", "")) if is_pod else "",
        str(involved.get("uid", "")) if is_pod else "",
        "",
        str(at(event, "source", "host", default="")),
        EVENTS,
    )


class EventFollower:
    """`run` reads the watch, `flush` stores what it has read."""

    def __init__(
        self,
        client: Client,
        store: LogStore,
        labels_of: Callable[[str], Mapping[str, str]],
        clock: Clock,
    ) -> None:
        self._client = client
        self._store = store
        self._labels_of = labels_of
        self._clock = clock
        self._pending: list[Obj] = []
        self._read = _stored_version(store)  # A resourceVersion.

    async def run(self) -> None:
        backoff = Backoff(initial_seconds=RETRY_INITIAL_SECONDS, max_seconds=RETRY_MAX_SECONDS)
        from_start = not self._read
        while True:
            try:
                await self._follow(from_start=from_start)
                from_start = False
                backoff.forget("")
            except (Expired, Gone):
                from_start = True  # What is too old for the watch may still be in the list.
            except ApiError as exc:
                delay = backoff.next_seconds("")
                log.info("events not watched, trying again", extra={"why": exc.message})
                await self._clock.sleep(delay)

    async def _follow(self, *, from_start: bool) -> None:
        query: dict[str, str | int | bool | None] = {
            "allowWatchBookmarks": True,
            "timeoutSeconds": WATCH_TIMEOUT_SECONDS,
        }
        if from_start:
            query |= {"sendInitialEvents": True, "resourceVersionMatch": "NotOlderThan"}
        else:
            query["resourceVersion"] = str(self._read)
        events = watch(self._client, path_of(RESOURCE), query)
        try:
            if from_start:
                await self._take_list(events)
            async for kind, event in events:
                if kind in ("ADDED", "MODIFIED"):
                    self._pending.append(event)
                self._read = max(self._read, _version(event))
                while len(self._pending) >= PENDING_MAX:
                    await self._clock.sleep(WAIT_SECONDS)
        finally:
            await events.aclose()  # type: ignore[attr-defined]  # an async generator

    async def _take_list(self, events: AsyncIterator[WatchEvent]) -> None:
        """All or nothing: the list is in no order that could be gone on from."""
        found = []
        async for kind, event in events:
            if kind != "BOOKMARK":
                found.append(event)
            elif at(event, "metadata", "annotations", INITIAL_EVENTS_END) == "true":
                break
        else:
            raise ServiceUnavailable("the list of events ended early")
        self._pending += [e for e in found if _version(e) > self._read]
        self._read = max(self._read, _version(event))

    def flush(self) -> int:
        """How many were stored. Raises OSError, sqlite3.Error: they are kept and tried again."""
        pending = sorted(self._pending, key=_version)
        if not pending:
            return 0
        version = _version(pending[-1])
        position = Position(DEVICE, INODE, b"events", version)
        batches = [
            Batch(source, self._labels_of(source.uid), data, position)
            for source, data in _lines(pending).items()
        ]
        self._store.write(batches)
        self._pending.clear()
        return len(pending)


def _version(event: Obj) -> int:
    return int(metadata(event)["resourceVersion"])


def _lines(events: list[Obj]) -> dict[Source, bytes]:
    found: dict[Source, bytes] = {}
    for event in events:
        try:
            line = record(time_of(event), text_of(event))
        except ValueError:
            log.info("an event without a time is left out", extra={"event": metadata(event)})
            continue
        source = source_of(event)
        found[source] = found.get(source, b"") + line
    return found


def _stored_version(store: LogStore) -> int:
    for position in store.positions():
        if (position.device, position.inode) == (DEVICE, INODE):
            return position.offset
    return 0
