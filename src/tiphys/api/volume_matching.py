"""Which PersistentVolume suits a claim, and what binding writes. Pure.

The binder and the scheduler ask the same.
Upstream: pkg/controller/volume/persistentvolume/index.go, component-helpers storage/volume.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from tiphys.api import labels, quantity
from tiphys.api.meta import (
    Obj,
    annotations_of,
    at,
    is_terminating,
    labels_of,
    metadata,
    name_of,
    namespace_of,
    uid_of,
)
from tiphys.api.node_selector import matches_selector

BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
BETA_PROVISIONER: Final = "volume.beta.kubernetes.io/storage-provisioner"
BETA_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"


def class_of(obj: Obj) -> str:
    """The class of a claim or volume; the old annotation counts first."""
    return annotations_of(obj).get(BETA_CLASS) or str(
        at(obj, "spec", "storageClassName", default="")
    )


def names_class(claim: Obj) -> bool:
    """Whether the claim says anything of a class; "" is an answer too."""
    return BETA_CLASS in annotations_of(claim) or "storageClassName" in claim["spec"]


def default_class(classes: Iterable[Obj]) -> Obj | None:
    """The newest of the classes that are marked. Source: GetDefaultClass."""
    marked = [c for c in classes if annotations_of(c).get(DEFAULT_CLASS) == "true"]
    marked.sort(key=name_of)
    return max(marked, key=_created_at, default=None)


def _created_at(obj: Obj) -> str:
    return str(metadata(obj).get("creationTimestamp") or "")


def waits_for_consumer(storage_class: Obj | None) -> bool:
    return (
        storage_class is not None
        and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
    )


def size_of(obj: Obj, *path: str) -> int:
    return quantity.of(at(obj, *path, default="0")).value


def is_for(volume: Obj, claim: Obj) -> bool:
    """Whether the volume's claimRef is this claim, or its name before it was made."""
    reference = at(volume, "spec", "claimRef", default={})
    if (reference.get("name"), reference.get("namespace")) != (
        name_of(claim),
        namespace_of(claim),
    ):
        return False
    return not reference.get("uid") or reference["uid"] == uid_of(claim)


def mismatch(volume: Obj, claim: Obj) -> str | None:
    """Why a volume that the user chose cannot be bound. Source: checkVolumeSatisfyClaim."""
    wanted = size_of(claim, "spec", "resources", "requests", "storage")
    if size_of(volume, "spec", "capacity", "storage") < wanted:
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if _mode(volume) != _mode(claim):
        return "incompatible volumeMode"
    if not _has_modes(volume, claim):
        return "incompatible accessMode"
    return None


def best(volumes: Sequence[Obj], claim: Obj, *, waits: bool, node: Obj | None = None) -> Obj | None:
    """The volume to bind: one kept for the claim, else the smallest that is large enough.

    waits: the scheduler chooses, so only a volume that was kept counts. node: the chosen one.
    """
    wanted = size_of(claim, "spec", "resources", "requests", "storage")
    fitting: list[tuple[int, str, Obj]] = []
    for volume in volumes:
        if is_terminating(volume) or _mode(volume) != _mode(claim):
            continue
        size = size_of(volume, "spec", "capacity", "storage")
        if at(volume, "spec", "claimRef") is not None:
            if is_for(volume, claim) and size >= wanted:
                return volume
            continue
        if waits or size < wanted or not _is_free_for(volume, claim):
            continue
        affinity = at(volume, "spec", "nodeAffinity", "required")
        if node is not None and affinity and not matches_selector(affinity, node):
            continue
        fitting.append((size, name_of(volume), volume))
    return min(fitting, key=lambda f: f[:2])[2] if fitting else None


def _is_free_for(volume: Obj, claim: Obj) -> bool:
    if at(volume, "status", "phase") != "Available" or class_of(volume) != class_of(claim):
        return False
    selector = at(claim, "spec", "selector")
    if selector is not None and not labels.matches_object(selector, labels_of(volume)):
        return False
    return _has_modes(volume, claim)


def _has_modes(volume: Obj, claim: Obj) -> bool:
    wanted = at(claim, "spec", "accessModes", default=[])
    return set(wanted) <= set(at(volume, "spec", "accessModes", default=[]))


def _mode(obj: Obj) -> str:
    return str(at(obj, "spec", "volumeMode", default="Filesystem"))


def claim_reference(claim: Obj) -> Obj:
    return {
        "kind": "PersistentVolumeClaim",
        "namespace": namespace_of(claim),
        "name": name_of(claim),
        "uid": uid_of(claim),
        "apiVersion": "v1",
        "resourceVersion": metadata(claim).get("resourceVersion", ""),
    }


def with_annotations(obj: Obj, **more: str) -> Obj:
    """More annotations; underscores of the keys stand for the names above."""
    notes = dict(annotations_of(obj)) | more
    return {**obj, "metadata": {**metadata(obj), "annotations": notes}}


def bound_volume(volume: Obj, claim: Obj) -> Obj:
    """The volume with the claim noted; equal when it is already."""
    reference = at(volume, "spec", "claimRef")
    if reference is not None and reference.get("uid") == uid_of(claim):
        return volume
    changed = {**volume, "spec": {**volume["spec"], "claimRef": claim_reference(claim)}}
    if reference is None:
        return with_annotations(changed, **{BOUND_BY_CONTROLLER: "yes"})
    return changed


def bound_claim(claim: Obj, volume: Obj) -> Obj:
    """The claim with the volume noted; equal when it is already."""
    changed = claim
    if at(claim, "spec", "volumeName") != name_of(volume):
        changed = {**claim, "spec": {**claim["spec"], "volumeName": name_of(volume)}}
        changed = with_annotations(changed, **{BOUND_BY_CONTROLLER: "yes"})
    if annotations_of(claim).get(BIND_COMPLETED) != "yes":
        changed = with_annotations(changed, **{BIND_COMPLETED: "yes"})
    return changed


def bound_status(volume: Obj) -> Obj:
    """The status of a claim that is bound to the volume."""
    return {
        "phase": "Bound",
        "accessModes": at(volume, "spec", "accessModes", default=[]),
        "capacity": dict(at(volume, "spec", "capacity", default={})),
    }


def unbound_volume(volume: Obj) -> Obj:
    """The volume given up; a claim that the user named stays named."""
    notes = dict(annotations_of(volume))
    spec = dict(volume["spec"])
    if notes.pop(BOUND_BY_CONTROLLER, None):
        spec.pop("claimRef", None)
    else:
        kept = {k: v for k, v in spec["claimRef"].items() if k not in ("uid", "resourceVersion")}
        spec["claimRef"] = kept
    described = {k: v for k, v in metadata(volume).items() if k != "annotations"}
    if notes:
        described["annotations"] = notes
    return {**volume, "metadata": described, "spec": spec}
