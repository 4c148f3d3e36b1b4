"""What the parts of one node's runtime share: records, shims, images, events."""

import asyncio
import logging
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, Final, TypeVar

from tiphys.cri.errors import CriError, not_found
from tiphys.lib.tasks import TaskSet
from tiphys.runtime import zygote_launch
from tiphys.runtime.cgroups.interface import Cgroups
from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.images.store import ImageStore
from tiphys.runtime.pod_network import LoopbackOnly, PodNetwork
from tiphys.runtime.records import EXITED, Container, Records, Sandbox
from tiphys.runtime.shim_client import ShimClient
from tiphys.runtime.zygote_launch import Zygote

log = logging.getLogger(__name__)

EVENTS_MAX: Final = 1000  # Events that wait for one subscriber; then its stream is ended.
Event = dict[str, Any]
Record = TypeVar("Record")


class Node:
    """The state of a node's runtime. One event loop only."""

    def __init__(self, config: RuntimeConfig, cgroups: Cgroups, images: ImageStore) -> None:
        self.config = config
        self.cgroups = cgroups
        self.images = images
        self.network: PodNetwork = config.network or LoopbackOnly()
        self.records = Records(config)
        self.shims: dict[str, ShimClient] = {}
        self.tasks = TaskSet()
        self._zygote: Zygote | None = None
        self.describe: Any = None  # Set by the services: an event's sandbox and containers.
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._exits: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._subscribers: list[asyncio.Queue[Event | None]] = []

    def zygote_socket(self) -> str:
        """Where shims are forked; our own zygote is started when there is none. Raises: OSError."""
        if self.config.zygote_socket:
            return self.config.zygote_socket
        if self._zygote is not None and self._zygote.ended():
            log.warning("zygote ended, starting another", extra={"pid": self._zygote.pid})
            os.close(self._zygote.lifeline)
            self._zygote = None
        if self._zygote is None:
            path = f"{self.config.state_dir}/zygote.sock"
            self._zygote = zygote_launch.start(path, f"tiphys: zygote {self.config.label}")
        return self._zygote.socket_path

    async def close(self) -> None:
        """Leave the shims to themselves."""
        for client in list(self.shims.values()):
            await client.close()
        await self.tasks.close()
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def now(self) -> int:
        """Nanoseconds since the epoch, CRI's measure of time."""
        return time.time_ns()

    def lock(self, identity: str) -> asyncio.Lock:
        """One operation at a time on a sandbox or container."""
        return self._locks[identity]

    def forget_lock(self, identity: str) -> None:
        self._locks.pop(identity, None)
        self._exits.pop(identity, None)

    def sandbox(self, identity: str) -> Sandbox:
        """By id or unambiguous prefix. Raises: CriError NOT_FOUND."""
        found = _by_prefix(self.records.sandboxes, identity)
        if found is None:
            raise not_found("pod sandbox", identity)
        return found

    def container(self, identity: str) -> Container:
        """By id or unambiguous prefix. Raises: CriError NOT_FOUND."""
        found = _by_prefix(self.records.containers, identity)
        if found is None:
            raise not_found("container", identity)
        return found

    def shim(self, sandbox_id: str) -> ShimClient:
        """Raises: CriError when the sandbox is not ready."""
        client = self.shims.get(sandbox_id)
        if client is None:
            raise CriError("FAILED_PRECONDITION", f"sandbox {sandbox_id} is not ready")
        return client

    def exited(self, container: Container) -> None:
        """A container has ended: store it, wake who waits, tell the subscribers."""
        try:
            self.records.save_container(container)
        except OSError as exc:  # A full disk: the shim's own record says the same.
            log.warning("exit not stored", extra={"container": container.id, "why": str(exc)})
        self._exits[container.id].set()
        self.publish(container.id, container.sandbox_id, "CONTAINER_STOPPED_EVENT")

    async def wait_exit(self, container: Container, seconds: float | None) -> bool:
        """Whether the container has ended within seconds."""
        if container.state == EXITED:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._exits[container.id].wait()
        except TimeoutError:
            return container.state == EXITED
        return True

    def publish(self, identity: str, sandbox_id: str, kind: str) -> None:
        """Send a container event (or one of a sandbox) to every subscriber."""
        if not self._subscribers:
            return
        event = {
            "container_id": identity,
            "container_event_type": kind,
            "created_at": self.now(),
            **self.describe(sandbox_id),
        }
        for queue in tuple(self._subscribers):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                # Events would be missing: ending the stream makes the kubelet list again.
                self._subscribers.remove(queue)
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(None)

    async def events(self) -> AsyncIterator[Event]:
        """Events from now on, until the subscriber leaves or is too slow."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(EVENTS_MAX)
        self._subscribers.append(queue)
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            if queue in self._subscribers:
                self._subscribers.remove(queue)


def _by_prefix(known: dict[str, Record], identity: str) -> Record | None:
    if identity in known:
        return known[identity]
    found = [key for key in known if identity and key.startswith(identity)]
    return known[found[0]] if len(found) == 1 else None
