"""Admission of what grows and of what gets a node: claims, pods."""

from typing import Any

import pytest

from tiphys.apiserver.admission.persistent_volume_claim_resize import PersistentVolumeClaimResize
from tiphys.apiserver.admission.pod_resize_validator import PodResizeValidator
from tiphys.apiserver.admission.pod_topology_labels import PodTopologyLabels
from unit.apiserver.admission_cases import a_cache, a_pod, a_write, refusal

Obj = dict[str, Any]
ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"


def a_node(name: str, labels: Obj | None = None) -> Obj:
    allocatable = {"cpu": "2", "memory": "1Gi"}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "status": {"allocatable": allocatable},
    }


def nodes(*objects: Obj) -> Any:
    return a_cache("/registry/nodes/", "v1", "Node", list(objects))


def a_claim(size: str, phase: str = "Bound", class_name: str = "grows") -> Obj:
    return {
        "metadata": {"name": "c"},
        "spec": {"storageClassName": class_name, "resources": {"requests": {"storage": size}}},
        "status": {"phase": phase},
    }


CLASSES: list[Obj] = [
    {"metadata": {"name": "grows"}, "allowVolumeExpansion": True},
    {"metadata": {"name": "stays"}, "allowVolumeExpansion": False},
    {"metadata": {"name": "silent"}},
]
LARGE = "Node didn't have enough allocatable resources: cpu, requested: 3000, allocatable: 2000"
RESIZE = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc"
    " must support resize"
)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        pytest.param(a_claim("1Gi"), a_claim("2Gi"), "", id="its class lets it"),
        pytest.param(a_claim("2Gi"), a_claim("1Gi"), "", id="smaller is for validation"),
        pytest.param(a_claim("1Gi", "Pending"), a_claim("1024Mi", "Pending"), "", id="the same"),
        pytest.param(
            a_claim("1Gi", "Pending"),
            a_claim("2Gi"),
            "Only bound persistent volume claims can be expanded",
            id="not bound",
        ),
        *(
            pytest.param(a_claim("1", class_name=c), a_claim("2", class_name=c), RESIZE, id=c)
            for c in ("stays", "silent", "gone", "")
        ),
        pytest.param(a_claim("1", class_name="stays"), a_claim("2"), RESIZE, id="another class"),
    ],
)
def test_growing_claims(old: Obj, new: Obj, why: str) -> None:
    classes = a_cache("/registry/sc/", "storage.k8s.io/v1", "StorageClass", CLASSES)
    write = a_write(new, "persistentvolumeclaims", operation="UPDATE", old=old)
    assert refusal(PersistentVolumeClaimResize(classes), write) == why


@pytest.mark.parametrize(
    ("cpu", "node", "why"),
    [
        pytest.param("1", "n", "", id="it fits"),
        pytest.param(
            "3",
            "n",
            LARGE,
            id="too large",
        ),
        pytest.param("1", "gone", 'node "gone" not found', id="no node"),
        pytest.param("3", "", "", id="not bound yet"),
        pytest.param(
            "1",
            "w",
            'pod resize is only supported on linux nodes, node "w" is "windows"',
            id="another system",
        ),
    ],
)
def test_growing_pods(cpu: str, node: str, why: str) -> None:
    known = {"kubernetes.io/os": "linux"}, {"kubernetes.io/os": "windows"}
    plugin = PodResizeValidator(nodes(a_node("n", known[0]), a_node("w", known[1])))
    old = a_pod({"requests": {"cpu": "500m"}}, nodeName=node)
    new = a_pod({"requests": {"cpu": cpu}}, nodeName=node)
    write = a_write(new, operation="UPDATE", subresource="resize", old=old)
    assert refusal(plugin, write) == why
    assert refusal(plugin, a_write(new, operation="UPDATE", old=old)) == ""


@pytest.mark.parametrize("subresource", ["", "binding"])
def test_pods_get_zone_and_region_of_their_node(subresource: str) -> None:
    plugin = PodTopologyLabels(nodes(a_node("n", {ZONE: "z", REGION: "r", "other": "o"})))
    obj = a_pod({}, nodeName="n") if not subresource else {"target": {"kind": "Node", "name": "n"}}
    metadata: Any = {"name": "p", "labels": {"a": "b", ZONE: "before"}}
    obj["metadata"] = metadata
    plugin.mutate(a_write(obj, subresource=subresource))
    assert obj["metadata"]["labels"] == {"a": "b", ZONE: "z", REGION: "r"}


def test_pods_without_such_a_node_stay() -> None:
    plugin = PodTopologyLabels(nodes(a_node("n")))
    for name in ("", "n", "gone"):
        pod = a_pod({}, nodeName=name)
        plugin.mutate(a_write(pod))
        assert "labels" not in pod["metadata"]
