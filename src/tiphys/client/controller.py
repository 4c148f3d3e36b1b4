"""What every controller stands on: shared informers, a queue, workers, results.

A controller registers listeners that turn changes into keys, and a `reconcile(key)` that reads the
caches, decides with a pure function and applies. The contract is controller-runtime's: return =
done, a number = again after so many seconds, raise = again with back-off.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from tiphys.api.errors import ApiError, Conflict
from tiphys.api.meta import GroupVersionResource, Obj, ObjectKey, key_of
from tiphys.client.informer import Informer
from tiphys.client.recorder import EventRecorder
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.lib.workqueue import WorkQueue

log = logging.getLogger(__name__)

WORKERS: Final = 5  # Upstream --concurrent-*-syncs.

Key = TypeVar("Key", bound=Hashable)
Reconcile = Callable[[Key], Awaitable[float | None]]


class Informers:
    """One informer per resource, shared by all controllers of the process."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[tuple[GroupVersionResource, str, bool], Informer] = {}

    def of(
        self, gvr: GroupVersionResource, *, field_selector: str = "", metadata_only: bool = False
    ) -> Informer:
        """The informer of a resource, or of those of its objects that a selector takes."""
        key = (gvr, field_selector, metadata_only)
        if key not in self._informers:
            self._informers[key] = Informer(
                self._client, gvr, field_selector=field_selector, metadata_only=metadata_only
            )
        return self._informers[key]

    def all(self) -> list[Informer]:
        return list(self._informers.values())


@dataclass(slots=True)
class Context:
    """What a controller is given.

    `client_for` makes a client that acts as the controller's account; `client` is the process's
    own, for the few that are no account (upstream's root client builder).
    """

    client: Client
    client_for: Callable[[str], Client]
    informers: Informers
    recorder: Callable[[str], EventRecorder]  # by component name
    clock: Clock
    tasks: TaskSet = field(default_factory=TaskSet)


class Controller(Protocol):
    """`start` registers listeners; `run` works until cancelled, after the caches are full."""

    name: str

    async def run(self) -> None: ...


@runtime_checkable
class HasQueue(Protocol):
    """A controller whose queue is shown among its metrics."""

    name: str
    queue: WorkQueue[Any]


class KeyedController(ABC):
    """A controller over keys of objects."""

    name = ""
    workers = WORKERS

    def __init__(self) -> None:
        self.queue: WorkQueue[ObjectKey] = WorkQueue()

    @abstractmethod
    async def reconcile(self, key: ObjectKey) -> float | None:
        """One object as it is now; see the module for what the result means."""

    async def run(self) -> None:
        await run_workers(self.name, self.queue, self.reconcile, self.workers)

    def enqueue(self, old: Obj | None, new: Obj | None) -> None:
        """A listener that adds the object's own key."""
        obj = new or old
        if obj is not None:
            self.queue.add(key_of(obj))


async def run_workers(
    name: str, queue: WorkQueue[Key], reconcile: Reconcile[Key], count: int = WORKERS
) -> None:
    """Work the queue with so many workers until cancelled."""
    tasks = TaskSet()

    async def worker() -> None:
        while True:
            key = await queue.get()
            try:
                await _once(name, queue, reconcile, key)
            finally:
                queue.done(key)

    try:
        started = [
            tasks.start(keep_running(name, worker), f"{name} worker {n}") for n in range(count)
        ]
        for task in started:
            await task
    finally:
        queue.close()
        await tasks.close()


async def _once(name: str, queue: WorkQueue[Key], reconcile: Reconcile[Key], key: Key) -> None:
    try:
        after = await reconcile(key)
    except Conflict as exc:
        # Somebody wrote in between: the cache will tell, and we look again.
        log.debug("conflict, trying again", extra={"controller": name, "why": exc.message})
        queue.add_failed(key)
    except ApiError as exc:
        log.info(
            "reconcile failed, trying again",
            extra={"controller": name, "key": key, "why": exc.message},
        )
        queue.add_failed(key)
    except Exception:  # the supervisor of one reconcile: others go on
        log.exception("reconcile failed", extra={"controller": name, "key": key})
        queue.add_failed(key)
    else:
        queue.forget(key)
        if after is not None:
            queue.add_after(key, after)
