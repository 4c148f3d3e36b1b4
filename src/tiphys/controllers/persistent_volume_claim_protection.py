"""Claim protection: a claim that a pod uses stays until the pod is gone.

Upstream: pkg/controller/volume/pvcprotection/pvc_protection_controller.go.
Reads PersistentVolumeClaim, Pod. Writes the finalizer of PersistentVolumeClaim.
"""

from collections.abc import Iterable
from typing import Final

from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, ObjectKey, is_terminating, metadata, name_of, namespace_of
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.kinds import PERSISTENT_VOLUME_CLAIMS, PODS
from tiphys.controllers.pods_by_namespace import pods_by_namespace
from tiphys.controllers.volume_binder import claim_names

FINALIZER: Final = "kubernetes.io/pvc-protection"


def with_finalizer(obj: Obj, finalizer: str, *, present: bool) -> Obj:
    """The object with or without a finalizer; itself when nothing changes."""
    have: list[str] = metadata(obj).get("finalizers") or []
    if (finalizer in have) == present:
        return obj
    wanted = [*have, finalizer] if present else [f for f in have if f != finalizer]
    return {**obj, "metadata": {**metadata(obj), "finalizers": wanted}}


def is_used(claim: Obj, pods: Iterable[Obj]) -> bool:
    """By a pod that a kubelet may have seen: an unbound pod is not let start any more."""
    return any(pod_facts.node_name(p) and name_of(claim) in claim_names(p) for p in pods)


class PersistentVolumeClaimProtection(KeyedController):
    name = "pvc-protection-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("pvc-protection-controller")
        self._claims = context.informers.of(PERSISTENT_VOLUME_CLAIMS)
        self._pods = pods_by_namespace(context.informers.of(PODS))
        self._claims.on_change(self.enqueue)
        context.informers.of(PODS).on_change(self._pod_changed)

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None or old is None:
            return
        for name in claim_names(old):
            self.queue.add(ObjectKey(namespace_of(old), name))

    async def reconcile(self, key: ObjectKey) -> float | None:
        claim = self._claims.get(key)
        if claim is None:
            return None
        keep = not is_terminating(claim) or is_used(claim, self._pods.all(key.namespace))
        if is_terminating(claim) and keep:
            return None
        wanted = with_finalizer(claim, FINALIZER, present=keep)
        if wanted is claim:
            return None
        try:
            await self._client.update(PERSISTENT_VOLUME_CLAIMS, wanted)
        except NotFound:
            return None
        return None
