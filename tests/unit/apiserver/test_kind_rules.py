"""Rules of single kinds: what a new object may be, and what of it may change."""

from typing import Any

import pytest

from tiphys.api import names
from tiphys.api.meta import GroupVersionKind, Obj
from tiphys.apiserver.meta_checks import MetaChecks, meta_checks, wants_qualified_finalizers
from tiphys.apiserver.object_meta import only_labels_and_annotations, validate_kind_update
from tiphys.apiserver.resources.registry import RESOURCES
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.texts import kube_finalizers

STORAGE, NODE = "storage.k8s.io", "node.k8s.io"


def resource(group: str, plural: str) -> Resource:
    return RESOURCES[group, "v1", plural]


def meta(**more: Any) -> Obj:
    return {"metadata": {"name": "a"}, **more}


DRIVER = {
    "attachRequired": True,
    "podInfoOnMount": False,
    "requiresRepublish": False,
    "storageCapacity": False,
    "seLinuxMount": False,
    "fsGroupPolicy": "File",
    "volumeLifecycleModes": ["Persistent"],
}
CLASS = {
    "provisioner": "d.example.com",
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
}
CSI_NODE = {"drivers": [{"name": "d.example.com", "nodeID": "n"}]}
ATTACHMENT = {"attacher": "d.example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}}


@pytest.mark.parametrize(
    ("group", "plural", "obj", "paths"),
    [
        (STORAGE, "csidrivers", meta(spec=DRIVER), []),
        (STORAGE, "csidrivers", meta(spec=DRIVER | {"fsGroupPolicy": "x"}), ["spec.fsGroupPolicy"]),
        (
            STORAGE,
            "csidrivers",
            meta(spec=DRIVER | {"volumeLifecycleModes": ["x"]}),
            ["spec.volumeLifecycleModes"],
        ),
        (
            STORAGE,
            "csidrivers",
            meta(spec=DRIVER | {"tokenRequests": [{"audience": "a"}] * 2}),
            ["spec.tokenRequests[1].audience"],
        ),
        (STORAGE, "csinodes", meta(spec=CSI_NODE), []),
        (STORAGE, "csinodes", meta(spec={"drivers": CSI_NODE["drivers"] * 2}), [
            "spec.drivers[1].name",
        ]),
        (STORAGE, "csinodes", meta(spec={"drivers": [{"name": "d.example.com"}]}), [
            "spec.drivers[0].nodeID",
        ]),
        (STORAGE, "storageclasses", meta(**CLASS), []),
        (STORAGE, "storageclasses", meta(**CLASS | {"provisioner": ""}), ["provisioner"]),
        (STORAGE, "storageclasses", meta(**CLASS | {"reclaimPolicy": "x"}), ["reclaimPolicy"]),
        (STORAGE, "storageclasses", meta(**CLASS, parameters={"": "x"}), ["parameters"]),
        (STORAGE, "volumeattachments", meta(spec=ATTACHMENT), []),
        (STORAGE, "volumeattachments", meta(spec=ATTACHMENT | {"source": {}}), ["spec.source"]),
        (STORAGE, "volumeattributesclasses", meta(driverName="d.example.com"), ["parameters"]),
        (STORAGE, "volumeattributesclasses", meta(
            driverName="d.example.com", parameters={"a": "b"}
        ), []),
        (STORAGE, "csistoragecapacities", meta(storageClassName="c", capacity="1Gi"), []),
        (STORAGE, "csistoragecapacities", meta(storageClassName="c", capacity="-1"), ["capacity"]),
        (NODE, "runtimeclasses", meta(handler="h"), []),
        (NODE, "runtimeclasses", meta(handler="H_"), ["handler"]),
    ],
)  # fmt: skip
def test_new_objects(group: str, plural: str, obj: Obj, paths: list[str]) -> None:
    kind = resource(group, plural)
    assert [e.path for e in kind.validate(obj) + kind.validate_create(obj)] == paths


@pytest.mark.parametrize(
    ("group", "plural", "old", "new", "paths"),
    [
        (STORAGE, "csidrivers", meta(spec=DRIVER), meta(spec=DRIVER), []),
        (
            STORAGE,
            "csidrivers",
            meta(spec=DRIVER),
            meta(spec=DRIVER | {"attachRequired": False}),
            ["spec.attachedRequired"],
        ),
        (STORAGE, "storageclasses", meta(**CLASS), meta(**CLASS, parameters={"a": "b"}), [
            "parameters",
        ]),
        (STORAGE, "storageclasses", meta(**CLASS), meta(**CLASS | {"reclaimPolicy": "Retain"}), [
            "reclaimPolicy",
        ]),
        (STORAGE, "volumeattachments", meta(spec=ATTACHMENT), meta(
            spec=ATTACHMENT | {"nodeName": "m"}
        ), ["spec"]),
        (STORAGE, "csinodes", meta(spec=CSI_NODE), meta(
            spec={"drivers": [{"name": "d.example.com", "nodeID": "m"}]}
        ), ["spec.drivers"]),
        (NODE, "runtimeclasses", meta(handler="h"), meta(handler="i"), ["handler"]),
        ("", "secrets", meta(type="Opaque"), meta(type="x"), ["type"]),
        ("", "secrets", meta(type="Opaque", immutable=True), meta(type="Opaque"), ["immutable"]),
        ("", "configmaps", meta(immutable=True, data={"a": "1"}), meta(
            immutable=True, data={"a": "2"}
        ), ["data"]),
        ("scheduling.k8s.io", "priorityclasses", meta(value=1), meta(value=2), ["value"]),
    ],
)  # fmt: skip
def test_what_stays(group: str, plural: str, old: Obj, new: Obj, paths: list[str]) -> None:
    assert [e.path for e in resource(group, plural).validate_update(new, old)] == paths


@pytest.mark.parametrize(
    ("kind", "whole", "change"),
    [("Event", 0, 0), ("Lease", 0, 1), ("LimitRange", 1, 0), ("Secret", 1, 1)],
)
def test_metadata_is_told_as_often_as_kinds_look_at_it(kind: str, whole: int, change: int) -> None:
    assert meta_checks(GroupVersionKind("", "v1", kind)) == MetaChecks(whole, change)
    wrong = {"metadata": {"name": "a", "namespace": "b", "labels": {"-": ""}}}
    errors = validate_kind_update(
        GroupVersionKind("", "v1", kind),
        wrong,
        wrong,
        namespaced=True,
        validate_name=names.path_segment_name,
        is_custom=False,
    )
    assert len(errors) == whole + change


@pytest.mark.parametrize(("kind", "wants"), [("ConfigMap", True), ("Lease", False)])
def test_which_kinds_want_finalizers_with_a_domain(kind: str, wants: bool) -> None:
    assert wants_qualified_finalizers(GroupVersionKind("", "v1", kind)) is wants
    obj = {"metadata": {"finalizers": ["short", "example.com/long", "orphan"]}}
    assert len(kube_finalizers(obj)) == 1


def test_a_templates_metadata() -> None:
    metadata = {"name": "a", "uid": "u", "labels": {"a": "b"}, "annotations": {"a": "b"}}
    errors = only_labels_and_annotations(metadata, "spec.metadata")
    assert {e.path for e in errors} == {"spec.metadata.name", "spec.metadata.uID"}
