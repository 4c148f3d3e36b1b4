"""Persistent volume binder: claims to volumes, volumes back when their claim is gone.

Upstream: pkg/controller/volume/persistentvolume/pv_controller.go, pv_controller_base.go.
Reads PersistentVolume, PersistentVolumeClaim, StorageClass, Pod, Node. Writes both and their
statuses. Matching is in volume_matching.py; volumes are made in local_path_provisioner.py.
Differs: where nothing chose a node for a claim that waits for its first consumer, the node of the
first pod that uses it and has one counts.
"""

import shutil
from pathlib import Path
from typing import Final, NamedTuple

from tiphys.api import volume_matching as matching
from tiphys.api.errors import NotFound
from tiphys.api.meta import (
    Obj,
    ObjectKey,
    annotations_of,
    at,
    key_of,
    name_of,
    namespace_of,
    rfc3339,
    uid_of,
)
from tiphys.client.controller import Context, run_workers
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.kinds import (
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    STORAGE_CLASSES,
)
from tiphys.controllers.pods_by_namespace import PodsByNamespace, pods_by_namespace
from tiphys.lib.workqueue import WorkQueue

HOST_PATHS: Final = Path("/tmp")

# How long waiting claims let a new volume be, so that one meant for another claim can be told so.
LOOK_AGAIN_SECONDS: Final = 1.0  # Upstream looks every --pvclaimbinder-sync-period (15 s).


class Key(NamedTuple):
    is_claim: bool
    key: ObjectKey


def claim_names(pod: Obj) -> list[str]:
    """The claims that a pod uses, those of its ephemeral volumes too."""
    found = []
    for volume in at(pod, "spec", "volumes", default=[]):
        if name := at(volume, "persistentVolumeClaim", "claimName"):
            found.append(str(name))
        elif "ephemeral" in volume:
            found.append(f"{name_of(pod)}-{volume['name']}")
    return found


def consumers(pods: PodsByNamespace, claim: Obj) -> list[Obj]:
    """The pods that use a claim and are not over."""
    name = name_of(claim)
    return [
        pod
        for pod in pods.all(namespace_of(claim))
        if not pod_facts.is_finished(pod) and name in claim_names(pod)
    ]


def selected_node(pods: PodsByNamespace, claim: Obj) -> str:
    """The node that was chosen for a claim, or nothing."""
    if chosen := annotations_of(claim).get(matching.SELECTED_NODE):
        return chosen
    return next((n for p in consumers(pods, claim) if (n := pod_facts.node_name(p))), "")


class VolumeBinder:
    """One worker for all: two claims must not be given one volume."""

    name = "persistentvolume-controller"

    def __init__(self, context: Context) -> None:
        self._client = context.client_for("persistent-volume-binder")
        self._clock = context.clock
        self._recorder = context.recorder(self.name)
        self._queue: WorkQueue[Key] = WorkQueue()
        self._volumes = context.informers.of(PERSISTENT_VOLUMES)
        self._claims = context.informers.of(PERSISTENT_VOLUME_CLAIMS)
        self._classes = context.informers.of(STORAGE_CLASSES)
        self._nodes = context.informers.of(NODES)
        self._pods = pods_by_namespace(context.informers.of(PODS))
        self._volumes.on_change(self._volume_changed)
        self._claims.on_change(self._claim_changed)
        self._classes.on_change(lambda old, new: self._enqueue_pending())
        context.informers.of(PODS).on_change(self._pod_changed)

    async def run(self) -> None:
        await run_workers(self.name, self._queue, self._reconcile, 1)

    def _volume_changed(self, old: Obj | None, new: Obj | None) -> None:
        volume = new or old
        assert volume is not None
        self._queue.add(Key(False, key_of(volume)))
        reference = at(volume, "spec", "claimRef")
        if reference is not None:
            self._queue.add(Key(True, ObjectKey(reference["namespace"], reference["name"])))
        elif at(volume, "status", "phase") == "Available":
            self._enqueue_pending(LOOK_AGAIN_SECONDS)

    def _claim_changed(self, old: Obj | None, new: Obj | None) -> None:
        claim = new or old
        assert claim is not None
        self._queue.add(Key(True, key_of(claim)))
        if volume := at(claim, "spec", "volumeName"):
            self._queue.add(Key(False, ObjectKey("", volume)))

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None or (old is not None and pod_facts.node_name(old)):
            return
        for name in claim_names(new):
            claim = self._claims.get(ObjectKey(namespace_of(new), name))
            if claim is not None and not at(claim, "spec", "volumeName"):
                self._queue.add(Key(True, key_of(claim)))

    def _enqueue_pending(self, seconds: float = 0.0) -> None:
        for claim in self._claims.items():
            if not at(claim, "spec", "volumeName"):
                self._queue.add_after(Key(True, key_of(claim)), seconds)

    async def _reconcile(self, key: Key) -> float | None:
        if key.is_claim:
            claim = self._claims.get(key.key)
            if claim is not None:
                await self._sync_claim(claim)
        else:
            volume = self._volumes.get(key.key)
            if volume is not None:
                await self._sync_volume(volume)
        return None

    # Claims.

    async def _sync_claim(self, claim: Obj) -> None:
        if annotations_of(claim).get(matching.BIND_COMPLETED) == "yes":
            await self._sync_bound_claim(claim)
        elif name := at(claim, "spec", "volumeName"):
            await self._sync_chosen(claim, name)
        else:
            await self._sync_unbound(claim)

    async def _sync_unbound(self, claim: Obj) -> None:
        claim = await self._with_default_class(claim)
        name = matching.class_of(claim)
        storage_class = self._classes.get(ObjectKey("", name)) if name else None
        waits = matching.waits_for_consumer(storage_class)
        chosen = selected_node(self._pods, claim) if waits else ""
        node = self._nodes.get(ObjectKey("", chosen)) if chosen else None
        volume = matching.best(
            self._volumes.items(), claim, waits=waits and node is None, node=node
        )
        if volume is not None:
            await self._bind(claim, volume)
            return
        if waits and not chosen:
            self._say_waiting(claim)
        elif name:
            await self._ask_provisioner(claim, name, storage_class)
        else:
            text = "no persistent volumes available for this claim and no storage class is set"
            self._recorder.event(claim, "Normal", "FailedBinding", text)
        await self._write_claim_status(claim, {"phase": "Pending"})

    async def _with_default_class(self, claim: Obj) -> Obj:
        """A claim that was made before there was a default class gets it now."""
        if matching.names_class(claim):
            return claim
        found = matching.default_class(self._classes.items())
        if found is None:
            return claim
        spec = {**claim["spec"], "storageClassName": name_of(found)}
        return await self._client.update(PERSISTENT_VOLUME_CLAIMS, {**claim, "spec": spec})

    def _say_waiting(self, claim: Obj) -> None:
        reason = "WaitForFirstConsumer"
        text = "waiting for first consumer to be created before binding"
        waiting = [name_of(p) for p in consumers(self._pods, claim)]
        if waiting:
            reason, text = "WaitForPodScheduled", f"waiting for pod {waiting[0]} to be scheduled"
        self._recorder.event(claim, "Normal", reason, text)

    async def _ask_provisioner(self, claim: Obj, name: str, storage_class: Obj | None) -> None:
        if storage_class is None:
            text = f'storageclass.storage.k8s.io "{name}" not found'
            self._recorder.event(claim, "Warning", "ProvisioningFailed", text)
            return
        provisioner = str(storage_class["provisioner"])
        if provisioner.startswith("kubernetes.io/"):
            text = f"no volume plugin matched name: {provisioner}"
            self._recorder.event(claim, "Warning", "ProvisioningFailed", text)
            return
        if annotations_of(claim).get(matching.PROVISIONER) != provisioner:
            notes = {matching.PROVISIONER: provisioner, matching.BETA_PROVISIONER: provisioner}
            claim = await self._client.update(
                PERSISTENT_VOLUME_CLAIMS, matching.with_annotations(claim, **notes)
            )
        text = (
            "Waiting for a volume to be created either by the external provisioner"
            f" '{provisioner}' or manually by the system administrator. If volume creation is"
            " delayed, please verify that the provisioner is running and correctly registered."
        )
        self._recorder.event(claim, "Normal", "ExternalProvisioning", text)

    async def _sync_chosen(self, claim: Obj, name: str) -> None:
        """The user named the volume."""
        volume = self._volumes.get(ObjectKey("", name))
        reference = at(volume, "spec", "claimRef")
        if volume is None:
            await self._write_claim_status(claim, {"phase": "Pending"})
        elif reference is None:
            why = matching.mismatch(volume, claim)
            if why is None:
                await self._bind(claim, volume)
                return
            text = f'Cannot bind to requested volume "{name}": {why}'
            self._recorder.event(claim, "Warning", "VolumeMismatch", text)
            await self._write_claim_status(claim, {"phase": "Pending"})
        elif matching.is_for(volume, claim):
            await self._bind(claim, volume)
        else:
            text = f'volume "{name}" already bound to a different claim.'
            self._recorder.event(claim, "Warning", "FailedBinding", text)
            await self._write_claim_status(claim, {"phase": "Pending"})

    async def _sync_bound_claim(self, claim: Obj) -> None:
        name = at(claim, "spec", "volumeName")
        if not name:
            text = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
            await self._lose(claim, "ClaimLost", text)
            return
        volume = self._volumes.get(ObjectKey("", name))
        if volume is None:
            text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
            await self._lose(claim, "ClaimLost", text)
            return
        reference = at(volume, "spec", "claimRef")
        if reference is None or matching.is_for(volume, claim):
            await self._bind(claim, volume)
            return
        text = "Two claims are bound to the same volume, this one is bound incorrectly"
        await self._lose(claim, "ClaimMisbound", text)

    async def _lose(self, claim: Obj, reason: str, text: str) -> None:
        if at(claim, "status", "phase") == "Lost":
            return
        await self._write_claim_status(claim, {"phase": "Lost"})
        self._recorder.event(claim, "Warning", reason, text)

    async def _bind(self, claim: Obj, volume: Obj) -> None:
        """Volume first, then claim: a crash in between is seen and finished."""
        wanted = matching.bound_volume(volume, claim)
        if wanted is not volume:
            volume = await self._client.update(PERSISTENT_VOLUMES, wanted)
        volume = await self._write_phase(volume, "Bound")
        bound = matching.bound_claim(claim, volume)
        if bound is not claim:
            claim = await self._client.update(PERSISTENT_VOLUME_CLAIMS, bound)
        if at(claim, "status", "phase") != "Bound":
            await self._write_claim_status(claim, matching.bound_status(volume))

    async def _write_claim_status(self, claim: Obj, status: Obj) -> None:
        if status == claim.get("status"):
            return
        changed = {**claim, "status": status}
        try:
            await self._client.update(PERSISTENT_VOLUME_CLAIMS, changed, subresource="status")
        except NotFound:
            return

    # Volumes.

    async def _sync_volume(self, volume: Obj) -> None:
        reference = at(volume, "spec", "claimRef")
        if reference is None or not reference.get("uid"):
            await self._write_phase(volume, "Available")
            return
        claim = await self._claim_of(reference)
        if claim is None:
            if at(volume, "status", "phase") not in ("Released", "Failed"):
                volume = await self._write_phase(volume, "Released")
            await self._reclaim(volume)
            return
        name = at(claim, "spec", "volumeName")
        if not name:
            self._queue.add(Key(True, key_of(claim)))
        elif name == name_of(volume):
            await self._write_phase(volume, "Bound")
        elif _is_disposable(volume):
            await self._reclaim(await self._write_phase(volume, "Released"))
        else:
            await self._client.update(PERSISTENT_VOLUMES, matching.unbound_volume(volume))

    async def _claim_of(self, reference: Obj) -> Obj | None:
        """The claim, asked of the API where the cache does not know it."""
        key = ObjectKey(reference["namespace"], reference["name"])
        claim = self._claims.get(key)
        if claim is None or uid_of(claim) != reference["uid"]:
            try:
                claim = await self._client.get(PERSISTENT_VOLUME_CLAIMS, key.name, key.namespace)
            except NotFound:
                return None
        return claim if uid_of(claim) == reference["uid"] else None

    async def _write_phase(self, volume: Obj, phase: str, message: str = "") -> Obj:
        if at(volume, "status", "phase") == phase:
            return volume
        status = {k: v for k, v in volume["status"].items() if k not in ("message", "reason")}
        status |= {"phase": phase, "lastPhaseTransitionTime": rfc3339(self._clock.now())}
        if message:
            status["message"] = message
        changed = {**volume, "status": status}
        return await self._client.update(PERSISTENT_VOLUMES, changed, subresource="status")

    async def _reclaim(self, volume: Obj) -> None:
        """What becomes of a volume without a claim. What a provisioner made, it removes."""
        if at(volume, "spec", "persistentVolumeReclaimPolicy") != "Delete":
            return
        if matching.PROVISIONED_BY in annotations_of(volume):
            return
        if why := remove_host_path(volume):
            await self._write_phase(volume, "Failed", why)
            self._recorder.event(volume, "Warning", "VolumeFailedDelete", why)
            return
        try:
            await self._client.delete(PERSISTENT_VOLUMES, name_of(volume), uid=uid_of(volume))
        except NotFound:
            return


def _is_disposable(volume: Obj) -> bool:
    return (
        matching.PROVISIONED_BY in annotations_of(volume)
        and at(volume, "spec", "persistentVolumeReclaimPolicy") == "Delete"
    )


def remove_host_path(volume: Obj) -> str:
    """Remove the directory of a hostPath volume beneath /tmp; why not, where it cannot be.

    Source: pkg/volume/hostpath hostPathDeleter.
    """
    path = at(volume, "spec", "hostPath", "path")
    if path is None:
        return (
            f'error getting deleter volume plugin for volume "{name_of(volume)}":'
            " no deletable volume plugin matched"
        )
    found = Path(path)
    inside = HOST_PATHS in found.parents and ".." not in found.parts
    if not inside or found.is_symlink() or HOST_PATHS not in found.resolve().parents:
        return f"host_path deleter only supports /tmp/.+ but received provided {path}"
    shutil.rmtree(found, ignore_errors=True)
    return ""
