"""An IPAddress object for each cluster address that a Service holds.

They are a record for people and tools: what is free is read from the Services themselves. Each
server keeps them right, from the committed writes of both kinds, so that one deleted by hand or by
a server that was behind comes back; on a shared store the others' work is found done.
Upstream: pkg/registry/core/service/ipallocator/ipallocator.go, controller/repairip.go (KEP-1880).
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from tiphys.api.meta import Obj
from tiphys.apiserver.bootstrap import Bootstrap
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.service_addresses import SERVICES, addresses_of
from tiphys.codec import json
from tiphys.lib.clock import Clock
from tiphys.storage.backend import Event, RevisionMismatch, StorageError
from tiphys.storage.store import Store, resource_prefix

log = logging.getLogger(__name__)

GROUP: Final = "networking.k8s.io"
PREFIX: Final = resource_prefix(GROUP, "ipaddresses")
MANAGED_BY: Final = "ipaddress.kubernetes.io/managed-by"
FAMILY: Final = "ipaddress.kubernetes.io/ip-family"
MANAGER: Final = "ipallocator.k8s.io"
RETRY_SECONDS: Final = 1.0  # After the store failed.


def ip_address(address: str, namespace: str, name: str) -> Obj:
    """The object for a Service's address."""
    family = "IPv6" if ":" in address else "IPv4"
    parent = {"group": "", "resource": "services", "namespace": namespace, "name": name}
    return {
        "metadata": {"name": address, "labels": {FAMILY: family, MANAGED_BY: MANAGER}},
        "spec": {"parentRef": parent},
    }


def is_ours(obj: Obj) -> bool:
    return (obj["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGER


class IpAddresses:
    """See the module. `run` until cancelled."""

    def __init__(
        self, store: Store, bootstrap: Bootstrap, addresses: Endpoint, services: Endpoint
    ) -> None:
        self._store = store
        self._bootstrap = bootstrap
        self._addresses = addresses
        self._services = services
        self._owner: dict[str, str] = {}  # address -> key of the Service that holds it
        self._held: dict[str, list[str]] = {}  # that key -> its addresses
        self._dirty: dict[str, None] = {}
        self._wake = asyncio.Event()

    async def run(self, clock: Clock) -> None:
        self._store.on_events(self.follow)
        for cached in self._services.cache.objects.values():
            self._note(cached.key, self._services.decode(cached))
        for key in self._addresses.cache.objects:
            self._dirty[key.removeprefix(PREFIX)] = None
        while True:
            try:
                await self._reconcile_all()
            except StorageError as error:
                log.warning("IPAddress objects not reconciled", extra={"why": error})
                await clock.sleep(RETRY_SECONDS)
                continue
            await self._wake.wait()

    def follow(self, events: Sequence[Event]) -> None:
        """Note committed writes (a listener of the store)."""
        for event in events:
            if event.key.startswith(SERVICES):
                self._note(event.key, json.decode(event.value) if event.value else None)
            elif event.key.startswith(PREFIX):
                self._dirty[event.key.removeprefix(PREFIX)] = None
        if self._dirty:
            self._wake.set()

    def _note(self, key: str, service: Obj | None) -> None:
        before = self._held.pop(key, [])
        now = addresses_of(service)
        if before == now:
            if now:
                self._held[key] = now
            return
        for address in before:
            if self._owner.get(address) == key:
                del self._owner[address]
        for address in now:
            self._owner[address] = key
        if now:
            self._held[key] = now
        self._dirty |= dict.fromkeys([*before, *now])

    async def _reconcile_all(self) -> None:
        self._wake.clear()
        while self._dirty:
            address, _ = self._dirty.popitem()
            try:
                await self._reconcile(address)
            except StorageError:
                self._dirty[address] = None
                raise

    async def _reconcile(self, address: str) -> None:
        owner = self._owner.get(address)
        if owner is not None:
            namespace, _, name = owner.removeprefix(SERVICES).partition("/")
            wanted = ip_address(address, namespace, name)
            await self._bootstrap.ensure(GROUP, "ipaddresses", wanted, replace=("spec",))
            return
        cached = self._addresses.cache.get(PREFIX + address)
        if cached is None or not is_ours(self._addresses.decode(cached)):
            return
        try:
            await self._store.delete(self._addresses.cache, cached.key, cached.revision)
        except RevisionMismatch:
            return  # Another server was faster; its write comes here, too.
