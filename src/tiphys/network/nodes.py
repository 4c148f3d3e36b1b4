"""Following the Node objects: what they say of the network, told again whenever it changes."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from tiphys.api.meta import GroupVersionResource, Obj, at, condition
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.lib.tasks import TaskSet, keep_running

log = logging.getLogger(__name__)

NODES: Final = GroupVersionResource("", "v1", "nodes")

RETRY_SECONDS: Final = 0.5  # After a failure.

Sync = Callable[[list[Obj]], int]
"""Makes the kernel what the nodes ask for; returns how many changes that took. Raises OSError."""


class NodeFollower:
    def __init__(self, client: Client, repair_seconds: float) -> None:
        self._nodes = Informer(client, NODES)
        self._repair_seconds = repair_seconds
        self._changed = asyncio.Event()

    async def follow(self, sync: Sync) -> None:
        """Call sync for every change, and every so often for what others changed in the kernel."""
        tasks = TaskSet()
        self._nodes.on_change(self._note)
        tasks.start(keep_running("informer nodes", self._nodes.run), "informer nodes")
        try:
            await self._nodes.synced()
            while True:
                self._changed.clear()
                done = self._try(sync)
                await self._changed_or_due(self._repair_seconds if done else RETRY_SECONDS)
        finally:
            await tasks.close()

    def _note(self, old: Obj | None, new: Obj | None) -> None:
        if shape(old) != shape(new):
            self._changed.set()

    def _try(self, sync: Sync) -> bool:
        """Whether the kernel holds now what it should."""
        try:
            changes = sync(self._nodes.items())
        except OSError as exc:
            log.error("routes not written, trying again", extra={"why": str(exc)})
            return False
        if changes:
            log.info("routes written", extra={"changes": changes})
        return True

    async def _changed_or_due(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return


def shape(node: Obj | None) -> tuple[object, object, bool] | None:
    """What of a node matters to the network: a heartbeat changes nothing."""
    if node is None:
        return None
    return at(node, "spec", "podCIDR"), at(node, "status", "addresses"), is_ready(node)


def is_ready(node: Obj) -> bool:
    return (condition(node, "Ready") or {}).get("status") == "True"
