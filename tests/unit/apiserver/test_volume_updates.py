"""What of a volume and of a claim for one may change."""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.apiserver.resources.core import (
    persistent_volume_claim_update,
    persistent_volume_update,
)

CLAIM = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "2Gi"}},
    "storageClassName": "c",
    "volumeName": "v",
    "volumeMode": "Filesystem",
}
SMALLER: Obj = {"resources": {"requests": {"storage": "1Gi"}}}
LARGER: Obj = {"resources": {"requests": {"storage": "3Gi"}}}
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"


def claim(phase: str = "Bound", annotations: Any = None, size: str = "", **spec: Any) -> Obj:
    status: Obj = {"phase": phase}
    if size:
        status["capacity"] = {"storage": size}
    found = {k: v for k, v in (CLAIM | spec).items() if v is not None}
    return {"metadata": {"annotations": annotations or {}}, "spec": found, "status": status}


ATTRIBUTES = "spec.volumeAttributesClassName"


def with_class(claim: Obj) -> Obj:
    """Its volume has got one."""
    return claim | {"status": claim["status"] | {"currentVolumeAttributesClassName": "a"}}


@pytest.mark.parametrize(
    ("new", "old", "paths"),
    [
        (claim(), claim(), []),
        (claim(**LARGER), claim(), []),
        (claim(phase="Pending", **LARGER), claim(phase="Pending"), ["spec"]),
        (claim(**SMALLER), claim(), []),
        (claim(**SMALLER), claim(size="500Mi"), []),
        (claim(**SMALLER), claim(size="1Gi"), ["spec.resources.requests.storage"]),
        (claim(storageClassName="d"), claim(), ["spec"]),
        (claim(), claim(storageClassName=None), []),
        (claim(), claim(storageClassName=None, annotations={BETA_CLASS: "c"}), []),
        (
            claim(annotations={BETA_CLASS: "d"}),
            claim(annotations={BETA_CLASS: "c"}),
            [f"metadata.annotations[{BETA_CLASS}]"],
        ),
        (claim(), claim(volumeName=None), []),
        (claim(volumeName=None), claim(volumeName=None), []),
        (claim(volumeName=None), claim(), ["spec"]),
        (claim(volumeName="w"), claim(), ["spec"]),
        (claim(volumeMode="Block"), claim(), ["spec", "volumeMode"]),
        (claim(volumeAttributesClassName="a"), claim(), []),
        (claim(), claim(volumeAttributesClassName="a"), []),
        (claim(), with_class(claim(volumeAttributesClassName="a")), [ATTRIBUTES]),
        (
            claim(volumeAttributesClassName=""),
            with_class(claim(volumeAttributesClassName="a")),
            [ATTRIBUTES],
        ),
        (claim(phase="Pending", volumeAttributesClassName="a"), claim(), ["spec"]),
    ],
)
def test_claims(new: Obj, old: Obj, paths: list[str]) -> None:
    errors = persistent_volume_claim_update.validate_update(new, old)
    assert [e.path for e in errors] == paths


def test_a_refusal_ends_in_the_difference() -> None:
    (error,) = persistent_volume_claim_update.validate_update(claim(volumeName="w"), claim())
    text = str(error)
    assert text.startswith("spec: Forbidden: spec is immutable after creation except ")
    changed = [line for line in text.split("\n") if line[:1] in ("+", "-")]
    assert changed == ['- "VolumeName": "v",', '+ "VolumeName": "w",']


@pytest.mark.parametrize(
    ("status", "paths"),
    [
        ({"capacity": {"storage": "1Gi"}}, []),
        ({"capacity": {"storage": "-1"}}, ["status.capacity[storage]"]),
        ({"allocatedResourceStatuses": {"storage": "NodeResizePending"}}, []),
        ({"allocatedResourceStatuses": {"storage": "x"}}, ["status.allocatedResourceStatuses"]),
        ({"allocatedResources": {"memory": "1"}}, ["status.allocatedResources"]),
    ],
)
def test_the_status_of_claims(status: Obj, paths: list[str]) -> None:
    new = claim() | {"status": status}
    errors = persistent_volume_claim_update.validate_status_update(new, claim())
    assert [e.path for e in errors] == paths


def zones(key: str, zone: str = "a") -> Obj:
    expression = {"key": key, "operator": "In", "values": [zone]}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}


OLD_ZONE, ZONE = "failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"
SOURCE = {"driver": "d.example.com", "volumeHandle": "h"}
SECRET = {"controllerExpandSecretRef": {"name": "a", "namespace": "b"}}


def volume(**spec: Any) -> Obj:
    found: Obj = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem",
        "csi": SOURCE,
    }
    return {"metadata": {"name": "v"}, "spec": {k: v for k, v in (found | spec).items() if v}}


@pytest.mark.parametrize(
    ("new", "old", "paths"),
    [
        (volume(), volume(), []),
        (volume(capacity={"storage": "2Gi"}), volume(), []),
        (volume(csi=SOURCE | {"volumeHandle": "i"}), volume(), ["spec.persistentvolumesource"]),
        (volume(csi=SOURCE | SECRET), volume(), []),
        (volume(), volume(csi=SOURCE | SECRET), ["spec.persistentvolumesource"]),
        (volume(volumeMode="Block"), volume(), ["volumeMode"]),
        (volume(nodeAffinity=zones(ZONE)), volume(), []),
        (volume(nodeAffinity=zones(ZONE)), volume(nodeAffinity=zones(OLD_ZONE)), []),
        (volume(nodeAffinity=zones(ZONE, "b")), volume(nodeAffinity=zones(ZONE)), ["nodeAffinity"]),
        (volume(), volume(volumeAttributesClassName="a"), ["spec.volumeAttributesClassName"]),
        (volume(volumeAttributesClassName="a"), volume(), []),
    ],
)
def test_volumes(new: Obj, old: Obj, paths: list[str]) -> None:
    errors = persistent_volume_update.validate_update(new, old)
    assert [e.path for e in errors] == paths
