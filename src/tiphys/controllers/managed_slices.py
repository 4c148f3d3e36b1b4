"""The EndpointSlices that one controller manages, by the Service they are for.

Shared by the EndpointSlice controller and the mirroring one: the label `managed-by` tells whose a
slice is. Upstream: k8s.io/endpointslice (reconciler.go finalize), util/endpointslice tracker.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, ObjectKey, key_of, labels_of, name_of, namespace_of, uid_of
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.controllers.kinds import ENDPOINT_SLICES

MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
SERVICE_NAME: Final = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Plan:
    create: tuple[Obj, ...]
    update: tuple[Obj, ...]
    delete: tuple[Obj, ...]


class ManagedSlices:
    """`changed` is told the Service whose slices somebody changed."""

    def __init__(
        self, client: Client, slices: Informer, manager: str, changed: Callable[[ObjectKey], None]
    ) -> None:
        self._client = client
        self._manager = manager
        self._changed = changed
        self._by_service: dict[ObjectKey, dict[ObjectKey, Obj]] = {}
        slices.on_change(self._note)

    def of(self, service: ObjectKey) -> list[Obj]:
        return list(self._by_service.get(service, {}).values())

    async def remove(self, service: ObjectKey) -> None:
        """The Service is gone, or no longer ours."""
        await asyncio.gather(*[self._delete(s) for s in self.of(service)])
        self._by_service.pop(service, None)

    async def apply(self, service: ObjectKey, changes: Plan) -> None:
        """Raises ApiError; what was done until then is remembered."""
        bucket = self._by_service.setdefault(service, {})
        for wanted in changes.create:
            # Remembered at once: a sync before the cache shows it would make it twice.
            created = await self._client.create(ENDPOINT_SLICES, wanted)
            bucket[key_of(created)] = created
        for wanted in changes.update:
            bucket[key_of(wanted)] = await self._client.update(ENDPOINT_SLICES, wanted)
        for wanted in changes.delete:
            await self._delete(wanted)
            bucket.pop(key_of(wanted), None)

    def _note(self, old: Obj | None, new: Obj | None) -> None:
        found = new or old
        assert found is not None
        if labels_of(found).get(MANAGED_BY) != self._manager:
            return
        owner = ObjectKey(namespace_of(found), labels_of(found).get(SERVICE_NAME, ""))
        bucket = self._by_service.setdefault(owner, {})
        if new is None:
            bucket.pop(key_of(found), None)
        else:
            bucket[key_of(found)] = new
        self._changed(owner)

    async def _delete(self, found: Obj) -> None:
        try:
            await self._client.delete(ENDPOINT_SLICES, name_of(found), namespace_of(found))
        except NotFound:
            return


def controlled_by(owner: Obj, kind: str) -> Obj:
    """The reference of a slice to what it is made from."""
    return {
        "apiVersion": "v1",
        "kind": kind,
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def name_prefix(name: str) -> str:
    """generateName of a Service's slices."""
    return f"{name}-" if len(name) < 57 else name
