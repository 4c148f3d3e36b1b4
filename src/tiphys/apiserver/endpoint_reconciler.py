"""Keeps this server among the addresses behind the Service `kubernetes`, and the dead out of them.

For stores that several servers share; alone, the addresses are written once at the start. A server
that ends takes itself out; one that dies is out when its lease has ended, upon which the others are
told by the store at once (upstream's notice it up to ten seconds later).
Upstream: pkg/controlplane/reconcilers/lease.go, controller/kubernetesservice/controller.go.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from tiphys.apiserver.bootstrap import Bootstrap
from tiphys.apiserver.master_leases import PREFIX, MasterLeases
from tiphys.lib.tasks import TaskSet
from tiphys.storage.backend import Event, StorageError
from tiphys.storage.store import Store

log = logging.getLogger(__name__)

RECONCILE_SECONDS: Final = 10.0  # Upstream: DefaultEndpointReconcilerInterval.
STOP_SECONDS_MAX: Final = 2.0  # For taking itself out; the lease's end does it otherwise.
TRIES_MAX: Final = 10  # Against the other servers, who write the same.


class EndpointReconciler:
    """As a context: in while the block runs, out after it."""

    def __init__(self, store: Store, bootstrap: Bootstrap, address: str, port: int) -> None:
        self._store = store
        self._bootstrap = bootstrap
        self._leases = MasterLeases(store.backend)
        self._address = address
        self._port = port
        self._known: set[str] = set()
        self._changed = asyncio.Event()
        self._tasks = TaskSet()

    async def __aenter__(self) -> "EndpointReconciler":
        self._tasks.start(self._run(), "kubernetes endpoints")
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._tasks.close()
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await self._leases.remove(self._address)
                await self._publish()
        except (StorageError, TimeoutError) as why:
            log.warning("not taken out of the endpoints of kubernetes", extra={"why": why})

    async def _run(self) -> None:
        stop = await self._store.backend.watch(
            PREFIX, self._store.backend.revision + 1, self._notice
        )
        try:
            while True:
                try:
                    await self.reconcile()
                except StorageError as error:
                    log.warning("endpoints of kubernetes not reconciled", extra={"why": error})
                await self._pause()
        finally:
            stop()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(RECONCILE_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            return

    def _notice(self, events: Sequence[Event]) -> None:
        """Wake up when a server came or went, not when one renewed its lease."""
        for event in events:
            address = event.key.removeprefix(PREFIX)
            if (event.value is not None) != (address in self._known):
                self._changed.set()

    async def reconcile(self) -> None:
        """Renew this server's lease and publish who lives. Raises StorageError."""
        await self._leases.renew(self._address)
        await self._publish()

    async def _publish(self) -> None:
        for _ in range(TRIES_MAX):
            self._changed.clear()
            live = await self._leases.live()
            self._known = set(live)
            # None at all would be a broken store, or this one the last to leave: as upstream.
            await self._store.current()
            if not live or await self._bootstrap.publish(live, self._port):
                return
