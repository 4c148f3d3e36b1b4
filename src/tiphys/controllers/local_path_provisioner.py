"""Local path provisioner: volumes as directories beneath a node's state directory.

Does for claims of our class what an external provisioner does upstream: sees a claim that the
binder marked, makes a directory on the node that was chosen and a PersistentVolume for the claim;
removes both when the claim is gone. The nodes of a profile share this machine's file system.
Upstream: sigs.k8s.io/sig-storage-lib-external-provisioner controller; rancher local-path.
Reads PersistentVolumeClaim, PersistentVolume, StorageClass, Node, Pod. Writes PersistentVolume.
"""

import asyncio
import shutil
from pathlib import Path
from typing import Final

from tiphys.api import volume_matching as matching
from tiphys.api.errors import AlreadyExists, NotFound
from tiphys.api.meta import (
    Obj,
    ObjectKey,
    annotations_of,
    at,
    is_terminating,
    key_of,
    labels_of,
    metadata,
    name_of,
    namespace_of,
    uid_of,
)
from tiphys.client.controller import Context, run_workers
from tiphys.controllers.config import PROVISIONER
from tiphys.controllers.kinds import (
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    STORAGE_CLASSES,
)
from tiphys.controllers.persistent_volume_claim_protection import with_finalizer
from tiphys.controllers.pods_by_namespace import pods_by_namespace
from tiphys.controllers.volume_binder import Key, selected_node
from tiphys.lib.workqueue import WorkQueue

FINALIZER: Final = PROVISIONER  # The volume stays until its directory is removed.
HOSTNAME: Final = "kubernetes.io/hostname"
MODE: Final = 0o777  # Any user of any container may write; the claim's pods are its guard.


def volume_name(claim: Obj) -> str:
    return f"pvc-{uid_of(claim)}"


def volume_of(claim: Obj, storage_class: Obj, hostname: str, path: Path) -> Obj:
    """The PersistentVolume for a claim, kept for it and for the node of its directory."""
    term = {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [hostname]}]}
    spec: Obj = {
        "capacity": {"storage": at(claim, "spec", "resources", "requests", "storage")},
        "accessModes": at(claim, "spec", "accessModes", default=[]),
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
        "storageClassName": name_of(storage_class),
        "volumeMode": "Filesystem",
        "local": {"path": str(path)},
        "claimRef": matching.claim_reference(claim),
        "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
    }
    if options := storage_class.get("mountOptions"):
        spec["mountOptions"] = options
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": volume_name(claim),
            "annotations": {matching.PROVISIONED_BY: PROVISIONER},
            "finalizers": [FINALIZER],
        },
        "spec": spec,
    }


def refusal(claim: Obj) -> str:
    """Why a claim cannot be served, or nothing."""
    if at(claim, "spec", "volumeMode") == "Block":
        return "a directory is no block device: volumeMode must be Filesystem"
    shared = {"ReadWriteMany", "ReadOnlyMany"} & set(at(claim, "spec", "accessModes", default=[]))
    if shared:
        return f"a directory of one node cannot be {sorted(shared)[0]}: use ReadWriteOnce"
    if at(claim, "spec", "selector") is not None:
        return "claim.Spec.Selector is not supported"
    if at(claim, "spec", "dataSourceRef") is not None:
        return "volumes are made empty: dataSource is not supported"
    return ""


class LocalPathProvisioner:
    name = PROVISIONER

    def __init__(self, context: Context, directory: Path) -> None:
        """directory: holds one directory per node, by name."""
        self._client = context.client_for("persistent-volume-binder")
        self._recorder = context.recorder(self.name)
        self._directory = directory
        self._queue: WorkQueue[Key] = WorkQueue()
        self._volumes = context.informers.of(PERSISTENT_VOLUMES)
        self._claims = context.informers.of(PERSISTENT_VOLUME_CLAIMS)
        self._classes = context.informers.of(STORAGE_CLASSES)
        self._nodes = context.informers.of(NODES)
        self._pods = pods_by_namespace(context.informers.of(PODS))
        self._claims.on_change(self._claim_changed)
        self._volumes.on_change(self._volume_changed)

    async def run(self) -> None:
        await run_workers(self.name, self._queue, self._reconcile, 2)

    def _claim_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and annotations_of(new).get(matching.PROVISIONER) == PROVISIONER:
            self._queue.add(Key(True, key_of(new)))

    def _volume_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and annotations_of(new).get(matching.PROVISIONED_BY) == PROVISIONER:
            self._queue.add(Key(False, key_of(new)))

    async def _reconcile(self, key: Key) -> float | None:
        if key.is_claim:
            claim = self._claims.get(key.key)
            if claim is not None and not at(claim, "spec", "volumeName"):
                await self._provision(claim)
        else:
            volume = self._volumes.get(key.key)
            if volume is not None:
                await self._clean_up(volume)
        return None

    async def _provision(self, claim: Obj) -> None:
        storage_class = self._classes.get(ObjectKey("", matching.class_of(claim)))
        if storage_class is None or is_terminating(claim):
            return
        if self._volumes.get(ObjectKey("", volume_name(claim))) is not None:
            return  # Made; the binder does the rest.
        why = refusal(claim)
        chosen = selected_node(self._pods, claim)
        node = self._nodes.get(ObjectKey("", chosen))
        if not why and not chosen:
            why = "no node was chosen: the class must have volumeBindingMode WaitForFirstConsumer"
        elif not why and (node is None or not (self._directory / chosen).is_dir()):
            why = f'node "{chosen}" has no state directory on this machine'
        if why or node is None:
            text = f'failed to provision volume with StorageClass "{name_of(storage_class)}": {why}'
            self._recorder.event(claim, "Warning", "ProvisioningFailed", text)
            return
        where = f"{namespace_of(claim)}/{name_of(claim)}"
        text = f'External provisioner is provisioning volume for claim "{where}"'
        self._recorder.event(claim, "Normal", "Provisioning", text)
        path = self._directory / chosen / "volumes" / volume_name(claim)
        make_directory(path)
        hostname = labels_of(node).get(HOSTNAME, chosen)
        wanted = volume_of(claim, storage_class, hostname, path)
        try:
            await self._client.create(PERSISTENT_VOLUMES, wanted)
        except AlreadyExists:
            return
        text = f"Successfully provisioned volume {name_of(wanted)}"
        self._recorder.event(claim, "Normal", "ProvisioningSucceeded", text)

    async def _clean_up(self, volume: Obj) -> None:
        """Remove a volume that was given back, or that somebody deletes and nobody uses."""
        released = (
            at(volume, "status", "phase") == "Released"
            and at(volume, "spec", "persistentVolumeReclaimPolicy") == "Delete"
        )
        if not released:
            if is_terminating(volume) and at(volume, "status", "phase") != "Bound":
                await self._release(volume)  # Retained: the directory is the user's now.
            return
        path = Path(at(volume, "spec", "local", "path", default=""))
        if not is_ours(path, self._directory, name_of(volume)):
            text = f"will not remove {path}: it is not beneath {self._directory}"
            self._recorder.event(volume, "Warning", "VolumeFailedDelete", text)
            return
        if not await asyncio.to_thread(remove_directory, path):
            text = f"could not remove all of {path}: is it still mounted?"
            self._recorder.event(volume, "Warning", "VolumeFailedDelete", text)
            return
        try:
            if not is_terminating(volume):
                await self._client.delete(PERSISTENT_VOLUMES, name_of(volume), uid=uid_of(volume))
            await self._release(volume)
        except NotFound:
            return

    async def _release(self, volume: Obj) -> None:
        if FINALIZER not in (metadata(volume).get("finalizers") or ()):
            return
        try:
            fresh = await self._client.get(PERSISTENT_VOLUMES, name_of(volume))
            await self._client.update(
                PERSISTENT_VOLUMES, with_finalizer(fresh, FINALIZER, present=False)
            )
        except NotFound:
            return


def make_directory(path: Path) -> None:
    """The directory of a volume, open to all users inside a parent that is not."""
    path.parent.mkdir(mode=0o711, exist_ok=True)
    path.mkdir(exist_ok=True)
    path.chmod(MODE)  # Whatever the umask says.


def remove_directory(path: Path) -> bool:
    """False when something is left."""
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def is_ours(path: Path, directory: Path, name: str) -> bool:
    """Exactly directory/NODE/volumes/NAME, without links on the way."""
    if path.name != name or path.parent.name != "volumes" or ".." in path.parts:
        return False
    return path.parent.parent.parent == directory and not path.is_symlink()
