"""A live copy of a list: list once, watch on, tell listeners what changed.

Listeners are called in the loop, in order, with (old, new): (None, obj) added, (old, new) changed,
(old, None) gone. They must not block and must not change the objects. After a failure the list is
read again and the difference told, so no change is missed, only intermediate states.
Upstream: client-go tools/cache reflector.go, shared_informer.go.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

from tiphys.api.errors import ApiError, Expired, Gone
from tiphys.api.meta import GroupVersionResource, Obj, ObjectKey, at, key_of
from tiphys.client.rest import Client, path_of
from tiphys.client.watch import WatchEvent, watch
from tiphys.lib.backoff import Backoff

log = logging.getLogger(__name__)

Listener = Callable[[Obj | None, Obj | None], None]

WATCH_TIMEOUT_SECONDS: Final = 400  # client-go: 5 to 10 minutes; the server ends the watch then.
RETRY_INITIAL_SECONDS: Final = 0.05
RETRY_MAX_SECONDS: Final = 5.0
METADATA_ONLY: Final = (
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json"
)
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class Informer:
    """Start `run()` in a task; read with `get`, `items`; wait with `synced`."""

    def __init__(
        self,
        client: Client,
        gvr: GroupVersionResource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> None:
        self.gvr = gvr
        self._accept = METADATA_ONLY if metadata_only else ""
        self._client = client
        self._path = path_of(gvr, namespace)
        self._selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        self._objects: dict[ObjectKey, Obj] = {}
        self._listeners: list[Listener] = []
        self._synced = asyncio.Event()
        self._version = ""

    def get(self, key: ObjectKey) -> Obj | None:
        return self._objects.get(key)

    def items(self) -> list[Obj]:
        return list(self._objects.values())

    def __len__(self) -> int:
        return len(self._objects)

    def on_change(self, listener: Listener) -> None:
        """Call listener for every change from now on, and for what is there already."""
        self._listeners.append(listener)
        for obj in self.items():
            listener(None, obj)

    async def synced(self) -> None:
        """Wait until the first list has been read."""
        await self._synced.wait()

    @property
    def has_synced(self) -> bool:
        return self._synced.is_set()

    async def run(self) -> None:
        """Keep the copy up to date until cancelled."""
        backoff = Backoff(initial_seconds=RETRY_INITIAL_SECONDS, max_seconds=RETRY_MAX_SECONDS)
        while True:
            try:
                await self._follow()
                backoff.forget("")
            except (Expired, Gone):
                self._version = ""
            except ApiError as exc:
                delay = backoff.next_seconds("")
                log.info(
                    "watch failed, trying again",
                    extra={"resource": self.gvr.resource, "why": exc.message, "in_seconds": delay},
                )
                await asyncio.sleep(delay)

    async def _follow(self) -> None:
        """One watch from where we are; with the list's objects first when we are nowhere."""
        query: dict[str, str | int | bool | None] = {
            **self._selectors,
            "allowWatchBookmarks": True,
            "timeoutSeconds": WATCH_TIMEOUT_SECONDS,
        }
        initial = not self._version
        if initial:
            query |= {"sendInitialEvents": True, "resourceVersionMatch": "NotOlderThan"}
        else:
            query["resourceVersion"] = self._version
        events = watch(self._client, self._path, query, accept=self._accept)
        try:
            if initial:
                await self._read_initial(events)
            async for event in events:
                self._apply(event)
        finally:
            await events.aclose()  # type: ignore[attr-defined]  # an async generator

    async def _read_initial(self, events: AsyncIterator[WatchEvent]) -> None:
        found: dict[ObjectKey, Obj] = {}
        async for event in events:
            if event.type != "BOOKMARK":
                found[key_of(event.object)] = event.object
                continue
            self._version = at(event.object, "metadata", "resourceVersion", default="")
            if at(event.object, "metadata", "annotations", INITIAL_EVENTS_END) == "true":
                break
        else:
            self._version = ""
            return
        self._replace(found)
        self._synced.set()

    def _replace(self, found: dict[ObjectKey, Obj]) -> None:
        for key in self._objects.keys() - found.keys():
            self._tell(self._objects.pop(key), None)
        for key, obj in found.items():
            old = self._objects.get(key)
            self._objects[key] = obj
            if old is None or version_of(old) != version_of(obj):
                self._tell(old, obj)

    def _apply(self, event: WatchEvent) -> None:
        obj = event.object
        self._version = version_of(obj)
        if event.type == "BOOKMARK":
            return
        key = key_of(obj)
        if event.type == "DELETED":
            self._objects.pop(key, None)
            self._tell(obj, None)
        else:
            old = self._objects.get(key)
            self._objects[key] = obj
            self._tell(old, obj)

    def _tell(self, old: Obj | None, new: Obj | None) -> None:
        for listener in self._listeners:
            listener(old, new)


def version_of(obj: Obj) -> str:
    return str(at(obj, "metadata", "resourceVersion", default=""))


async def all_synced(informers: Iterable[Informer]) -> None:
    for informer in informers:
        await informer.synced()
