"""Events about objects, written in the background; equal events are counted, not repeated.

Upstream: client-go tools/record (event.go, events_cache.go).
"""

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from typing import Final

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    metadata,
    name_of,
    namespace_of,
    rfc3339,
    uid_of,
)
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock

log = logging.getLogger(__name__)

EVENTS: Final = GroupVersionResource("", "v1", "events")
QUEUED_MAX: Final = 1000  # client-go record maxQueuedEvents.
REMEMBERED_MAX: Final = 4096  # client-go events_cache maxLruCacheEntries.
MESSAGE_CHARS_MAX: Final = 1024  # pkg/apis/core/validation/events.go NoteLengthLimit.


@dataclass(frozen=True, slots=True)
class _Remembered:
    name: str
    namespace: str
    count: int


class EventRecorder:
    """`event(...)` never blocks and never fails; `run()` in a task does the writing."""

    def __init__(
        self,
        client: Client,
        component: str,
        clock: Clock,
        *,
        host: str = "",
        remembered_max: int = REMEMBERED_MAX,
    ) -> None:
        self._client = client
        self._component = component
        self._host = host
        self._clock = clock
        self._remembered_max = remembered_max
        self._queue: asyncio.Queue[Obj] = asyncio.Queue(QUEUED_MAX)
        self._seen: dict[bytes, _Remembered] = {}  # by a digest: messages may be long

    def event(
        self,
        about: Obj,
        kind: str,
        reason: str,
        message: str,
        *,
        field_path: str = "",
        action: str = "",
    ) -> None:
        """Note that something happened to an object. kind is Normal or Warning.

        action: what was done or tried, where the component says so (the scheduler does).
        """
        reference = object_reference(about)
        if field_path:
            reference["fieldPath"] = field_path
        moment = self._clock.now()
        nanoseconds = int(moment.timestamp() * 1_000_000) * 1000
        event: Obj = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{reference.get('name', '')}.{nanoseconds:x}",
                "namespace": reference.get("namespace") or "default",
            },
            "involvedObject": reference,
            "reason": reason,
            "message": message[:MESSAGE_CHARS_MAX],
            "source": {"component": self._component} | ({"host": self._host} if self._host else {}),
            "firstTimestamp": rfc3339(moment),
            "lastTimestamp": rfc3339(moment),
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }
        if action:
            event["action"] = action
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            log.warning("event dropped, too many wait", extra={"reason": reason})

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            event = await self._queue.get()
            try:
                await self._write(event)
            except ApiError as exc:
                log.info("event not written", extra={"why": exc.message})
            finally:
                self._queue.task_done()

    @property
    def waiting(self) -> int:
        """How many events are still to be written."""
        return self._queue.qsize()

    async def drained(self) -> None:
        """Wait until everything noted so far has been written."""
        await self._queue.join()

    async def _write(self, event: Obj) -> None:
        key = _identity(event)
        known = self._seen.pop(key, None)
        if known is not None:
            try:
                await self._count_again(event, known)
            except NotFound:  # It expired: begin a new one.
                known = None
            else:
                self._seen[key] = _Remembered(known.name, known.namespace, known.count + 1)
                return
        created = await self._client.create(EVENTS, event)
        self._seen[key] = _Remembered(name_of(created), namespace_of(created), 1)
        if len(self._seen) > self._remembered_max:
            self._seen.pop(next(iter(self._seen)))

    async def _count_again(self, event: Obj, known: _Remembered) -> None:
        patch = {"count": known.count + 1, "lastTimestamp": event["lastTimestamp"]}
        await self._client.patch(EVENTS, known.name, patch, known.namespace, kind="merge")


def object_reference(obj: Obj) -> Obj:
    """The ObjectReference of an object, or the reference itself when it is one already."""
    if "metadata" not in obj:
        return {k: v for k, v in obj.items() if v}
    reference = {
        "kind": obj.get("kind", ""),
        "namespace": namespace_of(obj),
        "name": name_of(obj),
        "uid": uid_of(obj),
        "apiVersion": obj.get("apiVersion", ""),
        "resourceVersion": metadata(obj).get("resourceVersion", ""),
    }
    return {k: v for k, v in reference.items() if v}


def _identity(event: Obj) -> bytes:
    """What makes two events the same, as 16 bytes. Source: events_cache.go getEventKey."""
    about = event["involvedObject"]
    parts = (
        event["source"].get("component", ""),
        about.get("kind", ""),
        about.get("namespace", ""),
        about.get("name", ""),
        about.get("uid", ""),
        about.get("fieldPath", ""),
        event["type"],
        event["reason"],
        event["message"],
    )
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).digest()
