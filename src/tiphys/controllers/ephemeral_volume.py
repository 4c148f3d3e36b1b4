"""Ephemeral volume controller: a claim for each generic ephemeral volume of a pod.

Upstream: pkg/controller/volume/ephemeral/controller.go.
Reads Pod, PersistentVolumeClaim. Writes PersistentVolumeClaim, which goes with its pod.
"""

import copy

from tiphys.api.errors import AlreadyExists, ApiError
from tiphys.api.meta import Obj, ObjectKey, at, is_terminating, key_of, name_of, namespace_of
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers import owners
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.kinds import PERSISTENT_VOLUME_CLAIMS, PODS


def wanted_claims(pod: Obj) -> list[Obj]:
    """The claims of a pod's ephemeral volumes, named after pod and volume."""
    found = []
    for volume in at(pod, "spec", "volumes", default=[]):
        template = at(volume, "ephemeral", "volumeClaimTemplate")
        if template is None:
            continue
        described = copy.deepcopy(template.get("metadata") or {})
        metadata = {k: described[k] for k in ("labels", "annotations") if described.get(k)}
        metadata |= {
            "name": f"{name_of(pod)}-{volume['name']}",
            "namespace": namespace_of(pod),
            "ownerReferences": [owners.owner_reference({"apiVersion": "v1", "kind": "Pod"} | pod)],
        }
        found.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": metadata,
                "spec": copy.deepcopy(template["spec"]),
            }
        )
    return found


class EphemeralVolumeController(KeyedController):
    name = "ephemeral_volume"  # As upstream signs its events.

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("ephemeral-volume-controller")
        self._recorder = context.recorder(self.name)
        self._claims = context.informers.of(PERSISTENT_VOLUME_CLAIMS)
        self._pods = context.informers.of(PODS)
        self._pods.on_change(self._pod_changed)
        self._claims.on_change(self._claim_changed)

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        volumes = at(new, "spec", "volumes", default=[]) if old is None else []
        if new is not None and any("ephemeral" in v for v in volumes):
            self.queue.add(key_of(new))

    def _claim_changed(self, old: Obj | None, new: Obj | None) -> None:
        """A claim that went away is made anew for a pod that still needs it."""
        if new is not None or old is None:
            return
        for reference in at(old, "metadata", "ownerReferences", default=[]):
            if reference.get("kind") == "Pod" and reference.get("controller"):
                self.queue.add(ObjectKey(namespace_of(old), str(reference["name"])))

    async def reconcile(self, key: ObjectKey) -> float | None:
        pod = self._pods.get(key)
        if pod is None or is_terminating(pod) or pod_facts.is_finished(pod):
            return None
        for claim in wanted_claims(pod):
            if self._claims.get(key_of(claim)) is not None:
                continue
            try:
                await self._client.create(PERSISTENT_VOLUME_CLAIMS, claim)
            except AlreadyExists:
                continue
            except ApiError as exc:
                text = f"ephemeral volume {name_of(claim)}: create PVC: {exc.message}"
                self._recorder.event(pod, "Warning", "EphemeralVolumeClaimFailed", text)
                raise
        return None
