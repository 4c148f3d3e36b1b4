"""DefaultStorageClass admission: which class a claim without one gets."""

from typing import Any

import pytest

from tiphys.apiserver.admission.default_storage_class import DefaultStorageClass
from unit.apiserver.admission_cases import a_cache, a_write

Obj = dict[str, Any]
DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}
BETA = {"volume.beta.kubernetes.io/storage-class": "x"}


def a_class(name: str, created: str = "2026-01-01T00:00:00Z", **annotations: str) -> Obj:
    metadata = {"name": name, "creationTimestamp": created, "annotations": annotations}
    return {"metadata": metadata, "provisioner": "example.com/p"}


def a_claim(annotations: Obj | None = None, **spec: Any) -> Obj:
    return {"metadata": {"name": "c", "annotations": annotations or {}}, "spec": dict(spec)}


@pytest.mark.parametrize(
    ("classes", "claim", "expected"),
    [
        pytest.param([], a_claim(), None, id="none-is-there"),
        pytest.param([a_class("a")], a_claim(), None, id="none-is-default"),
        pytest.param([a_class("a", **DEFAULT)], a_claim(), "a", id="the-default-one"),
        pytest.param(
            [a_class("a", **DEFAULT)], a_claim(storageClassName="b"), "b", id="its-own"
        ),
        pytest.param(
            [a_class("a", **DEFAULT)], a_claim(storageClassName=""), "", id="none-on-purpose"
        ),
        pytest.param([a_class("a", **DEFAULT)], a_claim(BETA), None, id="by-the-annotation"),
        pytest.param(
            [a_class("a", **DEFAULT), a_class("b", "2026-02-01T00:00:00Z", **DEFAULT)],
            a_claim(), "b", id="the-newest-of-two",
        ),
        pytest.param(
            [a_class("b", **DEFAULT), a_class("a", **DEFAULT)], a_claim(), "a", id="by-name"
        ),
        pytest.param(
            [a_class("a", **{next(iter(DEFAULT)): "yes"})], a_claim(), None, id="marked-otherwise"
        ),
    ],
)  # fmt: skip
def test_the_class_of_a_new_claim(classes: list[Obj], claim: Obj, expected: str | None) -> None:
    kind = ("storage.k8s.io/v1", "StorageClass")
    plugin = DefaultStorageClass(a_cache("/registry/storageclasses/", *kind, classes))
    before = dict(claim["spec"])
    for write in (
        a_write(claim, "persistentvolumeclaims", operation="UPDATE"),
        a_write(claim, "pods"),
    ):
        plugin.mutate(write)
        assert claim["spec"] == before, "only of new claims"
    plugin.mutate(a_write(claim, "persistentvolumeclaims"))
    assert claim["spec"].get("storageClassName") == expected
