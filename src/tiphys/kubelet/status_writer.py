"""Writes pods' statuses to the API: the newest of each pod, one write at a time for each.

Upstream: pkg/kubelet/status/status_manager.go.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from tiphys.api.errors import ApiError, Conflict, NotFound
from tiphys.api.meta import Obj, at, name_of, namespace_of, uid_of
from tiphys.client.informer import version_of
from tiphys.client.rest import Client
from tiphys.kubelet.resources import PODS
from tiphys.kubelet.status_patch import status_patch
from tiphys.lib.backoff import Backoff
from tiphys.lib.tasks import TaskSet

log = logging.getLogger(__name__)

CONFLICTS_MAX: Final = 5
RETRY_INITIAL_SECONDS: Final = 0.1
RETRY_MAX_SECONDS: Final = 10.0  # status_manager.go syncPeriod


class StatusWriter:
    """`current` gives the API's newest known object of a pod; None when it is gone."""

    def __init__(self, client: Client, current: Callable[[str], Obj | None]) -> None:
        self._client = client
        self._current = current
        self._wanted: dict[str, Obj] = {}
        self._written: dict[str, Obj] = {}
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._tasks = TaskSet()

    def status(self, uid: str) -> Obj | None:
        """What was set last, written or not."""
        return self._wanted.get(uid)

    def is_own(self, pod: Obj) -> bool:
        """Whether this version of the object is the one that our last write made."""
        written = self._written.get(uid_of(pod))
        return written is not None and version_of(written) == version_of(pod)

    def set(self, pod: Obj, status: Obj) -> None:
        """Write status soon; a newer one replaces it."""
        uid = uid_of(pod)
        self._wanted[uid] = status
        if uid not in self._writing:
            self._writing[uid] = self._tasks.start(
                self._write(uid), f"status of {namespace_of(pod)}/{name_of(pod)}"
            )

    async def flushed(self, uid: str) -> None:
        """Wait until what was set last has been written."""
        while task := self._writing.get(uid):
            await asyncio.shield(task)

    def forget(self, uid: str) -> None:
        self._wanted.pop(uid, None)
        self._written.pop(uid, None)
        if task := self._writing.pop(uid, None):
            task.cancel()

    async def close(self) -> None:
        await self._tasks.close()

    async def _write(self, uid: str) -> None:
        backoff = Backoff(initial_seconds=RETRY_INITIAL_SECONDS, max_seconds=RETRY_MAX_SECONDS)
        try:
            while True:
                status = self._wanted.get(uid)
                pod = self._current(uid)
                if status is None or pod is None:
                    return
                try:
                    await self._write_once(uid, pod, status)
                except NotFound:
                    return
                except ApiError as exc:
                    # A conflict that stays is another pod of the same name.
                    if isinstance(exc, Conflict) and backoff.failures(uid) >= CONFLICTS_MAX:
                        return
                    log.info("status not written", extra={"pod": name_of(pod), "why": exc.message})
                    await asyncio.sleep(backoff.next_seconds(uid))
                    continue
                if self._wanted.get(uid) is status:
                    return
        finally:
            self._writing.pop(uid, None)

    async def _write_once(self, uid: str, pod: Obj, status: Obj) -> None:
        # The informer may lag behind our own last write.
        known = self._written.get(uid) or pod
        if _newer(pod, known):
            known = pod
        patch = status_patch(pod, at(known, "status", default={}), status)
        if patch is None:
            return
        self._written[uid] = await self._client.patch(
            PODS, name_of(pod), patch, namespace_of(pod), "status"
        )


def _newer(one: Obj, other: Obj) -> bool:
    """Resource versions of one resource may be compared since KEP-5504."""
    try:
        return int(one["metadata"]["resourceVersion"]) > int(other["metadata"]["resourceVersion"])
    except (KeyError, ValueError):
        return True
