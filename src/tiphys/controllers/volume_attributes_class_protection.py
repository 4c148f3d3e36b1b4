"""Class protection: a VolumeAttributesClass that a volume or a claim names stays until none does.

Upstream: pkg/controller/volume/vacprotection/vac_protection_controller.go.
Reads VolumeAttributesClass, PersistentVolume, PersistentVolumeClaim. Writes the class's finalizer.
"""

from collections.abc import Iterable
from typing import Final

from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, ObjectKey, at, is_terminating
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    VOLUME_ATTRIBUTES_CLASSES,
)
from tiphys.controllers.persistent_volume_claim_protection import with_finalizer

FINALIZER: Final = "kubernetes.io/vac-protection"


def classes_of(obj: Obj | None) -> set[str]:
    """Those that a claim or a volume wishes for, has, or is given."""
    found = (
        at(obj or {}, "spec", "volumeAttributesClassName"),
        at(obj or {}, "status", "currentVolumeAttributesClassName"),
        at(obj or {}, "status", "modifyVolumeStatus", "targetVolumeAttributesClassName"),
    )
    return {name for name in found if name}


def is_used(name: str, claims: Iterable[Obj], volumes: Iterable[Obj]) -> bool:
    return any(name in classes_of(o) for objects in (claims, volumes) for o in objects)


class VolumeAttributesClassProtection(KeyedController):
    name = "volumeattributesclass-protection-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for(self.name)
        self._classes = context.informers.of(VOLUME_ATTRIBUTES_CLASSES)
        self._claims = context.informers.of(PERSISTENT_VOLUME_CLAIMS)
        self._volumes = context.informers.of(PERSISTENT_VOLUMES)
        self._classes.on_change(self.enqueue)
        for informer in (self._claims, self._volumes):
            informer.on_change(self._user_changed)

    def _user_changed(self, old: Obj | None, new: Obj | None) -> None:
        for name in classes_of(old) - classes_of(new):
            self.queue.add(ObjectKey("", name))

    async def reconcile(self, key: ObjectKey) -> float | None:
        found = self._classes.get(key)
        if found is None:
            return None
        ends = is_terminating(found)
        if ends and is_used(key.name, self._claims.items(), self._volumes.items()):
            return None
        wanted = with_finalizer(found, FINALIZER, present=not ends)
        if wanted is found:
            return None
        try:
            await self._client.update(VOLUME_ATTRIBUTES_CLASSES, wanted)
        except NotFound:
            return None
        return None
