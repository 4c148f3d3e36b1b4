"""Volume protection: a volume that is bound stays until its claim is gone.

Upstream: pkg/controller/volume/pvprotection/pv_protection_controller.go.
Reads PersistentVolume. Writes its finalizer.
"""

from typing import Final

from tiphys.api.errors import NotFound
from tiphys.api.meta import ObjectKey, at, is_terminating
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import PERSISTENT_VOLUMES
from tiphys.controllers.persistent_volume_claim_protection import with_finalizer

FINALIZER: Final = "kubernetes.io/pv-protection"


class PersistentVolumeProtection(KeyedController):
    name = "pv-protection-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("pv-protection-controller")
        self._volumes = context.informers.of(PERSISTENT_VOLUMES)
        self._volumes.on_change(self.enqueue)

    async def reconcile(self, key: ObjectKey) -> float | None:
        volume = self._volumes.get(key)
        if volume is None:
            return None
        bound = at(volume, "status", "phase") == "Bound"
        if is_terminating(volume) and bound:
            return None
        wanted = with_finalizer(volume, FINALIZER, present=not is_terminating(volume))
        if wanted is volume:
            return None
        try:
            await self._client.update(PERSISTENT_VOLUMES, wanted)
        except NotFound:
            return None
        return None
